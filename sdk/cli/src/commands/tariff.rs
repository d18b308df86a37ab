//! `mains tariff`: what the network asks, and what it will ask.

use crate::{context::Context, plots, terminal};
use anyhow::{Context as _, Result, anyhow};
use candid::Nat;
use mains_client::utility::{Announced, Price, Tariff};
use serde::Serialize;
use std::path::Path;

/// Cycles of a credit.
const CREDIT: u128 = 1_000_000_000_000;
const DAY_SECONDS: u128 = 86_400;
/// The widest column of text.
const UNITS_GROUPED: u128 = 1 << 30;

#[derive(Serialize)]
struct Report {
    tariff: Tariff,
    announced: Option<Announced>,
    estimate: Option<Estimate>,
}

/// What it costs to have a module as a canister.
#[derive(Serialize)]
struct Estimate {
    module_bytes: u64,
    /// Once.
    creation: u128,
    /// Once: the messages that bring it.
    upload: u128,
    /// Once, and again with every other module: looking at it and compiling it.
    compile: u128,
    /// A day, for the module alone.
    storage_per_day: u128,
    /// For each update call that uses a million instructions and brings 100 bytes.
    call: u128,
}

pub(crate) async fn run(context: &Context, wasm: Option<&Path>) -> Result<()> {
    let client = context.connect().await?;
    let (tariff, announced) = (client.tariff().await?, client.announced_tariff().await?);
    let estimate = match wasm {
        None => None,
        Some(path) => {
            let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let module = super::module::unpacked(path, &file)?;
            let compiled = mains_operator::estimate::compile_instructions(&module);
            let compiled = compiled.map_err(|reason| anyhow!("{} cannot be installed: {reason}", path.display()))?;
            Some(estimate(&tariff, file.len() as u64, compiled))
        }
    };
    let report = Report { tariff, announced, estimate };
    if context.is_json() {
        terminal::json(&report);
        return Ok(());
    }
    print(&report);
    Ok(())
}

fn print(Report { tariff, announced, estimate }: &Report) {
    terminal::line(format_args!(
        "tariff {} since height {}, {} nodes (prices are for {} and scaled)",
        tariff.version, tariff.effective_height, tariff.nodes, tariff.reference_nodes
    ));
    let mut rows = vec![vec!["resource".into(), "unit".into(), "cycles".into()]];
    rows[0].extend(announced.iter().map(|next| format!("after epoch {}", next.in_force_after_epoch)));
    for price in &tariff.prices {
        let mut row = vec![price.resource.clone(), unit(price), cycles(price)];
        let next = announced.iter().flat_map(|next| &next.tariff.prices);
        row.extend(next.filter(|next| next.resource == price.resource).map(cycles));
        rows.push(row);
    }
    terminal::table(&rows);
    terminal::line(format_args!("income of an epoch ({} s)", tariff.epoch_seconds));
    let shares =
        [("operators", tariff.operators_share), ("reserve", tariff.reserve_share), ("commons", tariff.commons_share)];
    let row = |(name, share): (&str, u32)| {
        let percent = format!("{}.{:02} %", share / 100, share % 100);
        vec![format!("  {name}"), percent, plots::bar(u128::from(share), 10_000)]
    };
    terminal::table(&shares.map(row));
    if let Some(estimate) = estimate {
        terminal::line(format_args!("a canister of this module ({} bytes)", terminal::group(estimate.module_bytes)));
        terminal::table(
            &[
                ("  creation, once", estimate.creation),
                ("  upload, once", estimate.upload),
                ("  compiling, once", estimate.compile),
                ("  storage of the module, a day", estimate.storage_per_day),
                ("  a call of a million instructions", estimate.call),
            ]
            .map(|(what, amount)| vec![what.into(), terminal::group(amount), credits(amount)]),
        );
        terminal::note(
            "What its start and init do, what it keeps and what its calls do come on top: `mains bill` shows what was used.",
        );
    }
}

/// One unit, or the many that are priced together.
fn unit(price: &Price) -> String {
    if u128::from(price.denominator) >= UNITS_GROUPED {
        format!("GiB {}", second_word(&price.unit))
    } else {
        price.unit.clone()
    }
}

fn second_word(unit: &str) -> &str {
    unit.split_once(' ').map_or(unit, |(_, rest)| rest)
}

/// The price of one `unit`, to two digits after the point.
fn cycles(price: &Price) -> String {
    let units = if u128::from(price.denominator) >= UNITS_GROUPED { UNITS_GROUPED } else { 1 };
    let hundredths =
        amount(&price.numerator).saturating_mul(units).saturating_mul(100) / u128::from(price.denominator.max(1));
    format!("{}.{:02}", terminal::group(hundredths / 100), hundredths % 100)
}

fn credits(cycles: u128) -> String {
    let thousandths = cycles / (CREDIT / 1_000);
    format!("{}.{:03} credits", thousandths / 1_000, thousandths % 1_000)
}

fn amount(nat: &Nat) -> u128 {
    u128::try_from(&nat.0).unwrap_or(u128::MAX)
}

fn estimate(tariff: &Tariff, module_bytes: u64, compiled: u64) -> Estimate {
    let bytes = u128::from(module_bytes);
    let cost = |resource: &str, quantity: u128| {
        let price = tariff.prices.iter().find(|price| price.resource == resource);
        price.map_or(0, |price| {
            amount(&price.numerator).saturating_mul(quantity).div_ceil(u128::from(price.denominator.max(1)))
        })
    };
    let messages = bytes.div_ceil(mains_types::limits::CHUNK_BYTES_MAX as u128) + 1;
    Estimate {
        module_bytes,
        creation: cost("canister_creation", 1),
        upload: cost("ingress_messages", messages) + cost("ingress_bytes", bytes),
        compile: cost("compile_instructions", compiled.into()),
        storage_per_day: cost("storage_byte_seconds", bytes * DAY_SECONDS),
        call: cost("ingress_messages", 1)
            + cost("ingress_bytes", 100)
            + cost("execution", 1)
            + cost("instructions", 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(resource: &str, unit: &str, numerator: u128, denominator: u64) -> Price {
        let (resource, unit) = (resource.into(), unit.into());
        Price { resource, unit, reference: 0, numerator: numerator.into(), denominator }
    }

    #[test]
    fn prices_read_as_people_think_of_them() {
        let storage = price("storage_byte_seconds", "byte second", 508_000, 13 << 30);
        assert_eq!((unit(&storage), cycles(&storage)), ("GiB second".into(), "39,076.92".into()));
        let message = price("execution", "message", 20_000_000, 13);
        assert_eq!((unit(&message), cycles(&message)), ("message".into(), "1,538,461.53".into()));
        assert_eq!(credits(1_234_567_890_123), "1.234 credits");
    }

    #[test]
    fn an_estimate_is_the_prices_times_what_is_used() {
        let prices = vec![
            price("ingress_messages", "message", 13, 13),
            price("ingress_bytes", "byte", 26, 13),
            price("execution", "message", 1_000, 1),
            price("instructions", "instruction", 1, 1),
            price("canister_creation", "canister", 7_000, 1),
            price("compile_instructions", "instruction", 4, 13),
        ];
        let tariff = Tariff {
            version: 1,
            effective_height: 0,
            nodes: 13,
            reference_nodes: 13,
            prices,
            operators_share: 8_000,
            reserve_share: 1_000,
            commons_share: 1_000,
            epoch_seconds: 60,
        };
        let estimate = estimate(&tariff, 100, 1_000);
        assert_eq!((estimate.creation, estimate.upload, estimate.storage_per_day), (7_000, 2 + 200, 0));
        assert_eq!(estimate.compile, 308);
        assert_eq!(estimate.call, 1 + 200 + 1_000 + 1_000_000);
    }
}
