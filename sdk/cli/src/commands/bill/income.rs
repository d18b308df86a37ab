//! `mains bill --operator`: what an operator earned, from which facts, and where the rest of the income went.

mod html;

use super::html::page;
use crate::{context::Context, moment, plots, terminal};
use anyhow::{Result, anyhow};
use candid::Principal;
use mains_ledger::{
    Income,
    bill::Bound,
    income::{EpochIncome, NodeIncome},
    statement::{columns, group},
};
use std::fmt::Write as _;

pub(super) async fn run(context: &Context, operator: &str, from: Option<Bound>, to: Option<Bound>) -> Result<()> {
    let operator = Principal::from_text(operator)
        .map_err(|_| anyhow!("`{operator}` is no principal: `mains node earnings -o json` names operators"))?;
    let client = context.connect().await?;
    let income = client.income(operator, from, to).await?;
    let show = || terminal::line(text(&income));
    super::print(context, client.root_key(), &income, || csv(&income), || page_of(&income), show);
    Ok(())
}

/// The bill as a page that holds its proof.
pub(super) fn page_of(income: &Income) -> String {
    let json = serde_json::to_string(income).expect("plain data serializes");
    page(&format!("Income of {}", income.operator), &html::body(income), income.certified, &json)
}

/// What a verified bill says, in rows.
pub(super) fn summary(income: &Income) -> Vec<(&'static str, String)> {
    vec![
        ("operator", income.operator.to_text()),
        ("period", format!("epoch {} to {}", income.from_epoch, income.to_epoch)),
        (
            "earned",
            format!("{} cycles of {} without a fault", group(income.earned.get()), group(income.earned_max.get())),
        ),
        (
            "certified",
            format!("height {}, {}", group(income.certified.height.get().into()), moment::show(income.certified.time)),
        ),
    ]
}

fn text(income: &Income) -> String {
    let (from, to) = (income.epochs.first(), income.epochs.last());
    let (from, to) = (from.map_or(0, |epoch| epoch.from.time.get()), to.map_or(0, |epoch| epoch.to.time.get()));
    let show = |nanos| moment::show(mains_types::UnixNanos(nanos));
    let mut text = format!("operator   {}\nperiod     {} to {}\n\n", income.operator, show(from), show(to));
    let mut rows = vec![
        ["epoch", "users paid", "pool", "weight", "of all", "earned", "others", "reserve", "commons", "rounding"]
            .map(String::from),
    ];
    rows.extend(income.epochs.iter().map(row));
    columns(&mut text, &rows);
    text.push_str("\nearned = pool x weight / weight of all, where pool = what users paid x the operators' share\n\n");
    let mut rows = vec![
        ["node", "windows", "voted", "certified", "blocks", "lost views", "deduction", "earned"].map(String::from),
    ];
    rows.extend(nodes(income).iter().map(|node| {
        [
            node.node.to_text(),
            group(node.windows.into()),
            group(node.voted.into()),
            group(node.certified.into()),
            group(node.proposed.into()),
            group(node.failed.into()),
            if income.epochs.len() == 1 { percent(node.deduction) } else { "by epoch".into() },
            group(node.amount.get()),
        ]
    }));
    columns(&mut text, &rows);
    let amounts: Vec<u128> = income.epochs.iter().map(|epoch| epoch.earned.get()).collect();
    let _ = write!(
        text,
        "\nearned     {} cycles, {} without a fault\nby epoch   {}\n",
        group(income.earned.get()),
        group(income.earned_max.get()),
        plots::sparkline(&amounts)
    );
    if let Some(last) = income.epochs.last() {
        let _ = writeln!(
            text,
            "paid       each at the settlement of the next epoch; {} cycles of epoch {} may be under way",
            group(last.earned.get()),
            last.epoch
        );
    }
    text
}

fn row(epoch: &EpochIncome) -> [String; 10] {
    let weight: u64 = epoch.nodes.iter().map(|node| node.weight).sum();
    [
        epoch.epoch.to_string(),
        group(epoch.income.get()),
        group(epoch.pool.get()),
        group(weight.into()),
        group(epoch.weight_max.into()),
        group(epoch.earned.get()),
        group(epoch.others.get()),
        group(epoch.reserve.get()),
        group(epoch.commons.get()),
        group(epoch.rounding.get()),
    ]
}

/// The operator's nodes over all epochs.
fn nodes(income: &Income) -> Vec<NodeIncome> {
    let mut sums: Vec<NodeIncome> = Vec::new();
    for node in income.epochs.iter().flat_map(|epoch| &epoch.nodes) {
        match sums.iter_mut().find(|sum| sum.node == node.node) {
            None => sums.push(node.clone()),
            Some(sum) => {
                sum.windows += node.windows;
                sum.voted += node.voted;
                sum.certified += node.certified;
                sum.proposed += node.proposed;
                sum.failed += node.failed;
                sum.amount = sum.amount.saturating_add(node.amount);
            }
        }
    }
    sums
}

/// Parts of 10,000 as a percentage.
fn percent(parts: u64) -> String {
    format!("{}.{:02} %", parts / 100, parts % 100)
}

/// One line for each node and epoch; no field ever holds a comma or a quote.
fn csv(income: &Income) -> String {
    let mut text = "epoch,from_height,from,to_height,to,tariff,users_paid,pool,weight_of_all,node,windows,voted,certified,proposed,failed,deduction,weight,weight_max,earned,others,reserve,commons,rounding\n".to_owned();
    for epoch in &income.epochs {
        let EpochIncome { from, to, .. } = epoch;
        let place = format!(
            "{},{},{},{},{},{},{},{},{}",
            epoch.epoch,
            from.height,
            moment::show(from.time),
            to.height,
            moment::show(to.time),
            epoch.tariff_version,
            epoch.income,
            epoch.pool,
            epoch.weight_max
        );
        for node in &epoch.nodes {
            let NodeIncome { windows, voted, certified, proposed, failed, deduction, weight, weight_max, .. } = node;
            let _ = writeln!(
                text,
                "{place},{},{windows},{voted},{certified},{proposed},{failed},{deduction},{weight},{weight_max},{},,,,",
                node.node, node.amount
            );
        }
        let EpochIncome { earned, others, reserve, commons, rounding, .. } = epoch;
        let _ = writeln!(text, "{place},all,,,,,,,,,{earned},{others},{reserve},{commons},{rounding}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_ledger::{
        Moment, Settlement, Tariff,
        work::{Earned, NodeWork, Settled},
    };
    use mains_types::{Cycles, Height, UnixNanos};

    pub(super) fn income() -> Income {
        let (tariff, operator) = (Tariff::for_nodes(1), Principal::self_authenticating([1; 32]));
        let epochs: Vec<Settled> = (1..=3_u64)
            .map(|epoch| {
                let work = NodeWork { windows: 4, voted: 4, certified: 3, proposed: 250, failed: epoch };
                let settlement =
                    Settlement::divide(Cycles(1_000_000 * u128::from(epoch)), &tariff, &[work.weighed(operator)])
                        .unwrap();
                let amount = settlement.operators[0].1.get();
                let nodes = [(Principal::self_authenticating([2; 32]), Earned { operator, work, amount })].into();
                let (first, last) = (Height(epoch * 256 - 255), Height(epoch * 256));
                let (began, ended) = (UnixNanos(epoch * 1_000_000_000), UnixNanos((epoch + 1) * 1_000_000_000));
                Settled { epoch, first, last, began, ended, nodes, settlement }
            })
            .collect();
        let at = Moment { height: Height(999), time: UnixNanos(9) };
        Income::draw(operator, at, "ab".into(), &epochs, &[tariff]).unwrap()
    }

    #[test]
    fn text_and_tables_show_every_epoch_and_the_sum() {
        let income = income();
        let text = text(&income);
        assert_eq!(income.earned, Cycles(4_200_000), "seven eighths of 80 %");
        for figure in ["2,100,000", "2,400,000", "4,200,000 cycles, 4,800,000 without a fault", "▃▆█"] {
            assert!(text.contains(figure), "{figure} in {text}");
        }
        let csv = csv(&income);
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [23; 7]);
        let page = page_of(&income);
        assert!(page.contains("2,100,000") && page.contains(super::super::EMBEDDED));
        assert!(page.matches("<tr>").count() >= 8);
    }
}
