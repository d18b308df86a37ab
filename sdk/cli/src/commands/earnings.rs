//! `mains node earnings`: what operators were paid, and for which work.

use crate::{context::Context, plots, terminal};
use anyhow::{Result, ensure};
use candid::{Nat, Principal};
use mains_client::utility::Settlement;
use serde::Serialize;
use std::collections::BTreeMap;

/// Epochs that are shown: all that the network keeps.
const EPOCHS: u32 = 60;

/// One node over the epochs that are shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Node {
    node: Principal,
    operator: Principal,
    total: u128,
    /// By epoch, oldest first; zero if it was no member.
    amounts: Vec<u128>,
    /// Of the last epoch: parts of 10,000 of windows in which it voted and signed.
    presence: u64,
    blocks_proposed: u64,
    views_failed: u64,
}

#[derive(Serialize)]
struct Report {
    settlements: Vec<Settlement>,
    nodes: Vec<Node>,
}

pub(crate) async fn run(context: &Context, of: Option<Principal>) -> Result<()> {
    let mut settlements = context.connect().await?.settlements(EPOCHS).await?;
    settlements.reverse();
    let nodes = nodes(&settlements, of);
    ensure!(of.is_none() || !nodes.is_empty(), "no node or operator with this principal in the last {EPOCHS} epochs");
    if context.is_json() {
        terminal::json(&Report { settlements, nodes });
        return Ok(());
    }
    let Some((first, last)) = settlements.first().zip(settlements.last()) else {
        terminal::line("no epoch was settled yet");
        return Ok(());
    };
    let sums = |of: fn(&Settlement) -> &Nat| settlements.iter().map(|settled| amount(of(settled))).collect::<Vec<_>>();
    terminal::line(format_args!("epochs {} to {}, cycles", first.epoch, last.epoch));
    let row = |name: &str, sums: Vec<u128>| {
        let (total, newest) = (sums.iter().sum::<u128>(), sums.last().copied().unwrap_or(0));
        vec![name.to_owned(), terminal::group(total), terminal::group(newest), plots::sparkline(&sums)]
    };
    terminal::table(&[
        vec!["".into(), "all".into(), "last".into(), "".into()],
        row("income", sums(|settled| &settled.income)),
        row("operators", sums(|settled| &settled.operators)),
        row("reserve", sums(|settled| &settled.reserve)),
        row("commons", sums(|settled| &settled.commons)),
    ]);
    let most = nodes.iter().map(|node| node.total).max().unwrap_or(0);
    let head = ["node", "earned", "", "by epoch", "present", "blocks", "lost views"].map(String::from);
    let mut rows = vec![head.to_vec()];
    rows.extend(nodes.iter().map(|node| {
        vec![
            node.node.to_text().chars().take(11).collect(),
            terminal::group(node.total),
            plots::bar(node.total, most),
            plots::sparkline(&node.amounts),
            format!("{}.{:02} %", node.presence / 100, node.presence % 100),
            node.blocks_proposed.to_string(),
            node.views_failed.to_string(),
        ]
    }));
    terminal::table(&rows);
    Ok(())
}

/// The nodes in these settlements, oldest first; only this one or this operator's if somebody is named.
fn nodes(settlements: &[Settlement], of: Option<Principal>) -> Vec<Node> {
    let mut nodes: BTreeMap<Principal, Node> = BTreeMap::new();
    for (place, settled) in settlements.iter().enumerate() {
        for work in settled.nodes.iter().filter(|work| of.is_none_or(|of| of == work.operator || of == work.node)) {
            let node = nodes.entry(work.node).or_insert_with(|| Node {
                node: work.node,
                operator: work.operator,
                total: 0,
                amounts: vec![0; settlements.len()],
                presence: 0,
                blocks_proposed: 0,
                views_failed: 0,
            });
            node.operator = work.operator;
            node.amounts[place] = amount(&work.amount);
            node.total = node.total.saturating_add(amount(&work.amount));
            node.presence = (work.voted + work.certified) * 10_000 / (2 * work.windows).max(1);
            (node.blocks_proposed, node.views_failed) = (work.blocks_proposed, work.views_failed);
        }
    }
    nodes.into_values().collect()
}

fn amount(nat: &Nat) -> u128 {
    u128::try_from(&nat.0).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_client::utility::Work;

    fn principal(name: u8) -> Principal {
        Principal::self_authenticating([name])
    }

    fn settled(epoch: u64, amounts: &[(u8, u128)]) -> Settlement {
        let work = |(node, amount): &(u8, u128)| Work {
            node: principal(*node),
            operator: principal(*node / 2 + 100),
            windows: 4,
            voted: 4,
            certified: 1,
            blocks_proposed: 60,
            views_failed: 2,
            amount: (*amount).into(),
        };
        Settlement {
            epoch,
            last_height: 0,
            ended_nanos: 0,
            income: 0_u8.into(),
            operators: 0_u8.into(),
            reserve: 0_u8.into(),
            commons: 0_u8.into(),
            nodes: amounts.iter().map(work).collect(),
        }
    }

    #[test]
    fn earnings_are_summed_by_node_and_found_by_node_or_operator() {
        let settlements = [settled(1, &[(2, 10), (3, 20)]), settled(2, &[(2, 5), (3, 0), (4, 7)])];
        let totals = |of| nodes(&settlements, of).into_iter().map(|node| node.total).collect::<Vec<_>>();
        assert_eq!(totals(None).iter().sum::<u128>(), 42);
        assert_eq!(totals(Some(principal(3))), [20]);
        assert_eq!(totals(Some(principal(101))).iter().sum::<u128>(), 35);
        assert_eq!(totals(Some(principal(9))), [] as [u128; 0]);
        let late = nodes(&settlements, Some(principal(4))).remove(0);
        assert_eq!((late.amounts, late.presence), (vec![0, 7], 6_250));
    }
}
