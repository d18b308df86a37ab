//! The conformance suite: one case per rule of the interface specification, all against one network of four replicas over
//! HTTP. The page `CASES.md` lists the groups; `WRITE=1` brings it up to date. `CASE=text` runs the cases with that text in
//! their names.

mod availability;
mod calls;
mod certified;
mod contexts;
mod creating;
mod cycles;
mod endpoints;
mod hooks;
mod installing;
mod lifecycle;
mod memory;
mod modules;
mod queries;
mod reading;
mod settings;
mod snapshots;
mod timing;
mod versions;
mod wide;

use mains_conformance::{Cases, Network, World, run};
use std::path::Path;

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
const FIRST_PORT: u16 = 12_700;
/// Where the table stands in `CASES.md`.
const TABLE: (&str, &str) = ("<!-- table -->\n", "<!-- end of table -->\n");

fn cases() -> Cases {
    let mut cases = Cases::new();
    endpoints::add(&mut cases);
    creating::add(&mut cases);
    settings::add(&mut cases);
    installing::add(&mut cases);
    modules::add(&mut cases);
    lifecycle::add(&mut cases);
    versions::add(&mut cases);
    calls::add(&mut cases);
    contexts::add(&mut cases);
    queries::add(&mut cases);
    availability::add(&mut cases);
    cycles::add(&mut cases);
    memory::add(&mut cases);
    timing::add(&mut cases);
    hooks::add(&mut cases);
    certified::add(&mut cases);
    reading::add(&mut cases);
    snapshots::add(&mut cases);
    wide::add(&mut cases);
    cases
}

#[test]
fn every_rule_holds() {
    run(async {
        let network = Network::start(NODE, FIRST_PORT).await.expect("a network");
        let world = World::new(network).expect("the scripted canister");
        cases().run(&world).await;
        world.network.agree().await.expect("the replicas agree");
    });
}

#[test]
fn the_page_of_cases_is_up_to_date() {
    let cases = cases();
    assert_eq!(cases.repeated(), Vec::<String>::new(), "every case has a name of its own");
    let groups = cases.groups();
    let mut table = String::from("| group | cases |\n|---|---:|\n");
    for (group, count) in &groups {
        table += &format!("| {group} | {count} |\n");
    }
    table += &format!("| **all** | **{}** |\n", groups.iter().map(|(_, count)| count).sum::<usize>());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CASES.md");
    let page = std::fs::read_to_string(&path).expect("CASES.md");
    let (head, rest) = page.split_once(TABLE.0).expect("where the table begins");
    let (before, tail) = rest.split_once(TABLE.1).expect("where the table ends");
    if std::env::var_os("WRITE").is_some() {
        std::fs::write(&path, [head, TABLE.0, &table, TABLE.1, tail].concat()).expect("written");
        return;
    }
    assert_eq!(before, table, "CASES.md is not up to date: run this test with WRITE=1");
}
