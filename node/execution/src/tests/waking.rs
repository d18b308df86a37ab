//! Who is awake, and what waking costs everybody else. The test host charges it as the real one does.

use super::{
    lane::{install_args, manage},
    network::{CREDIT, Network},
};
use crate::engine::COPIED_PAGE_INSTRUCTIONS;
use ic_management_canister_types::{CanisterInstallMode, LoadCanisterSnapshotArgs, Snapshot, TakeCanisterSnapshotArgs};
use mains_ledger::Resource;
use mains_state::{IngressStatus, PAGE_BYTES, PageTree};
use mains_types::{CanisterId, RequestId, limits};

/// Pages whose copy is two fifths of a slice.
const MANY: u64 = limits::SLICE_INSTRUCTIONS * 2 / 5 / COPIED_PAGE_INSTRUCTIONS;

fn pages(count: u64) -> PageTree {
    let mut pages = PageTree::default();
    (1..=count).for_each(|index| pages.write(index * PAGE_BYTES as u64, b"page"));
    pages
}

/// Canisters from this index on, with these pages in each one's heap.
fn canisters(network: &mut Network, indices: std::ops::Range<u64>, pages: &PageTree) -> Vec<CanisterId> {
    let mut install = |index| {
        let id = network.install(index, "m", 10 * CREDIT);
        let canister = network.state_mut().canister_mut(&id).unwrap();
        canister.code.as_mut().unwrap().heap.pages = pages.clone();
        id
    };
    indices.map(&mut install).collect()
}

/// Instructions that a message of this canister is charged.
fn charged(network: &mut Network, id: CanisterId, script: &str) -> u64 {
    let metered = |network: &Network| network.state().ledger.meter(&id, Resource::Instructions);
    let before = metered(network);
    let _ = network.run(id, script);
    (metered(network) - before) as u64
}

fn calls(network: &mut Network, ids: &[CanisterId]) -> Vec<RequestId> {
    let calls: Vec<_> = ids.iter().map(|id| network.call(1, *id, "run", b"inc;reply_count")).collect();
    let requests = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    requests
}

#[test]
fn the_first_message_wakes_its_canister_and_the_next_finds_it_awake() {
    let mut network = Network::new(&[]);
    let ids = canisters(&mut network, 0x100..0x103, &pages(500));
    let waking = 500 * COPIED_PAGE_INSTRUCTIONS;
    let awake = charged(&mut network, ids[0], "reply ok") - waking;
    assert_eq!(charged(&mut network, ids[0], "reply ok"), awake);
    let trapped = charged(&mut network, ids[1], "trap no");
    assert!(
        (waking..waking + COPIED_PAGE_INSTRUCTIONS).contains(&trapped),
        "a trap too, and then it is awake: {trapped}"
    );
    assert_eq!(charged(&mut network, ids[1], "reply ok"), awake);
    let others = canisters(&mut network, 0x200..0x200 + limits::AWAKE_CANISTERS_MAX as u64 - 1, &pages(1));
    calls(&mut network, &others);
    assert_eq!(charged(&mut network, ids[1], "reply ok"), awake, "all but one of those that ran since are others");
    assert_eq!(charged(&mut network, ids[0], "reply ok"), awake + waking, "too many others have run since");
    assert_eq!(charged(&mut network, ids[0], "reply ok"), awake);
}

#[test]
fn a_query_called_as_an_update_wakes_too() {
    let mut network = Network::new(&[]);
    let id = canisters(&mut network, 0x100..0x101, &pages(500))[0];
    let call = network.call(1, id, "ask", b"reply ok");
    network.block(vec![call]);
    let metered = network.state().ledger.meter(&id, Resource::Instructions) as u64;
    assert_eq!(metered / COPIED_PAGE_INSTRUCTIONS, 500);
    assert!(charged(&mut network, id, "reply ok") < COPIED_PAGE_INSTRUCTIONS);
}

#[test]
fn a_round_wakes_so_many_bytes_and_the_others_in_the_next() {
    let mut network = Network::new(&[]);
    let fit = limits::AWAKE_BYTES_MAX / (MANY * PAGE_BYTES as u64);
    let ids = canisters(&mut network, 0x100..0x103 + fit.max(5), &pages(MANY));
    let requests = calls(&mut network, &ids);
    let waking = MANY * COPIED_PAGE_INSTRUCTIONS;
    let ended = |network: &Network| {
        let status = |id| network.state().ingress_status(id).unwrap();
        requests.iter().filter(|id| matches!(status(id), IngressStatus::Replied(_))).count() as u64
    };
    assert_eq!(ended(&network), limits::ROUND_INSTRUCTIONS_MAX.div_ceil(waking));
    network.block_until_idle();
    assert_eq!(ended(&network), ids.len() as u64);
    let awake = ids.iter().filter(|id| network.state().awake.has(id)).count() as u64;
    assert_eq!(awake, fit, "no more bytes are awake");
}

#[test]
fn waking_a_large_heap_takes_its_slices_and_what_is_awake_needs_one() {
    let mut network = Network::new(&[]);
    let id = canisters(&mut network, 0x100..0x101, &pages(3 * MANY))[0];
    let slices = (3 * MANY * COPIED_PAGE_INSTRUCTIONS).div_ceil(limits::SLICE_INSTRUCTIONS);
    let request = calls(&mut network, &[id])[0];
    for _ in 1..slices {
        assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing));
        network.block(vec![]);
    }
    assert_eq!(network.outcome(&request).unwrap(), "1");
    assert_eq!(network.run(id, "reply_count").unwrap(), "1", "in one round");
}

#[test]
fn what_installs_and_snapshots_put_in_a_heaps_place_sleeps_unless_a_hook_ran_on_it() {
    use CanisterInstallMode::{Reinstall, Upgrade};
    let mut network = Network::new(&["", "trap no"]);
    let id = canisters(&mut network, 0x100..0x101, &pages(500))[0];
    let hooks = "canister_init canister_pre_upgrade canister_post_upgrade";
    let is_awake = |network: &Network| network.state().awake.has(&id);
    let metered = |network: &Network| network.state().ledger.meter(&id, Resource::Instructions) as u64;
    charged(&mut network, id, "inc;reply ok");
    for (mode, module, script, succeeds, is_awake_then) in [
        (Reinstall, "without hooks", "", true, false),
        (Reinstall, hooks, "inc", true, true),
        (Upgrade(None), hooks, "inc", true, true),
        (Upgrade(None), hooks, "trap no", false, false),
        (Upgrade(None), "without hooks", "", true, false),
    ] {
        let request = manage(&mut network, "install_code", &install_args(id, mode, module, script));
        assert_eq!(network.outcome(&request).is_ok(), succeeds, "{module}");
        assert_eq!(is_awake(&network), is_awake_then, "{module} {script}");
    }
    network.state_mut().canister_mut(&id).unwrap().code.as_mut().unwrap().heap.pages = pages(500);
    charged(&mut network, id, "reply ok");
    let take = TakeCanisterSnapshotArgs {
        canister_id: id,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    };
    let taken = manage(&mut network, "take_canister_snapshot", &candid::encode_one(take).unwrap());
    let Some(IngressStatus::Replied(reply)) = network.state().ingress_status(&taken) else { panic!("no snapshot") };
    let snapshot_id = candid::decode_one::<Snapshot>(reply).unwrap().id;
    assert!(is_awake(&network), "taking one moves nothing");
    let load = LoadCanisterSnapshotArgs { canister_id: id, snapshot_id, sender_canister_version: None };
    let loaded = manage(&mut network, "load_canister_snapshot", &candid::encode_one(load).unwrap());
    assert!(network.outcome(&loaded).is_ok() && !is_awake(&network));
    assert!(charged(&mut network, id, "reply ok") > 500 * COPIED_PAGE_INSTRUCTIONS);
    let module = format!("{hooks} pre{{inc}}");
    let first = manage(&mut network, "install_code", &install_args(id, Reinstall, &module, ""));
    network.outcome(&first).unwrap();
    network.state_mut().canister_mut(&id).unwrap().code.as_mut().unwrap().heap.pages = pages(500);
    for (sleeps, waking) in [(false, 0), (true, 500 * COPIED_PAGE_INSTRUCTIONS)] {
        if sleeps {
            network.state_mut().canister_mut(&id).unwrap().code.as_mut().unwrap().heap.pages = pages(500);
            network.state_mut().awake.sleep(&id);
        }
        let before = metered(&network);
        let request = manage(&mut network, "install_code", &install_args(id, Upgrade(None), &module, ""));
        network.outcome(&request).unwrap();
        let used = metered(&network) - before;
        assert!((waking..waking + COPIED_PAGE_INSTRUCTIONS).contains(&used), "`canister_pre_upgrade` wakes: {used}");
    }
}
