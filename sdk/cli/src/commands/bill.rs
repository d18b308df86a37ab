//! `mains bill`.

use crate::{context::Context, terminal};
use anyhow::{Result, ensure};
use mains_ledger::{Tariff, statement};

pub(crate) async fn run(context: &Context, name: &str) -> Result<()> {
    let client = context.connect().await?;
    let canister = context.canister(&client, name)?;
    let bill = client.bill(canister).await?;
    if context.is_json() {
        terminal::json(&bill);
    } else {
        terminal::line(statement::render_text(&bill).trim_end());
    }
    // Later tariffs are not known here: their statements are checked for their sums only.
    let tariff = Tariff::for_nodes(bill.nodes);
    if bill.tariff_version == tariff.version {
        statement::verify(&bill, &tariff)?;
    }
    ensure!(
        bill.balances(),
        "the bill does not add up: opening + received - sent - charged is not the closing balance"
    );
    Ok(())
}
