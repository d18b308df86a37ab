use super::*;
use crate::{
    CallOrigin, Code, Continuation, Heap, Message, Section, Settings, Snapshot, SystemMessage, Task,
    snapshot::{Content, Global, Upload},
};
use mains_types::{Reject, RejectCode, ids::canister_id, limits};
use sha2::{Digest, Sha256};

fn genesis() -> Genesis {
    Genesis {
        time: UnixNanos(1_000),
        accounts: vec![(Principal::anonymous(), Cycles(1_000_000))],
        ..Genesis::rehearsal((0..4).map(|key| Principal::self_authenticating([key])))
    }
}

fn code(module: &str, fill: u8) -> Code {
    let mut heap = Heap { bytes: 1 << 20, globals: vec![3, 4], ..Heap::default() };
    (0..40).for_each(|page| heap.pages.write(page * 8_192, &[fill; 100]));
    let section = Section { is_public: true, content: Arc::new(b"service : {}".to_vec().into()) };
    let exports = crate::Exports { hooks: ["canister_heartbeat".to_owned()].into(), ..Default::default() };
    let hash = *blake3::hash(module.as_bytes()).as_bytes();
    let wasm = Arc::new(module.as_bytes().to_vec().into());
    Code::new(wasm, hash, heap, [("candid:service".to_owned(), section)].into(), exports)
}

fn entry(expires_at: u64, status: IngressStatus) -> IngressEntry {
    let sender = Principal::anonymous();
    let expires_at = UnixNanos(expires_at);
    IngressEntry { sender, receiver: canister_id(1), expires_at, status, cost: Cycles(1 << 70), due: None }
}

/// A state with something of everything.
fn busy() -> State {
    let mut state = State::genesis(&genesis());
    for index in 0x100..0x110 {
        let id = canister_id(index);
        let mut canister = Canister::new(id, Settings::default(), state.time);
        canister.code = (index % 3 != 0).then(|| code(&format!("module {}", index % 2), index as u8));
        canister.global_timer = (index % 2 == 0).then_some(UnixNanos(index * 1_000));
        canister.append_log(state.time, [b"line".to_vec()]);
        state.insert_canister(canister);
        state.ledger.mint(&Account::Canister(id), Cycles(u128::from(index))).unwrap();
        state.enqueue(&id, Message::Task(Task::Heartbeat));
        let deadline = (index % 4 == 0).then_some(UnixNanos(index));
        let function = Continuation { function: 1, environment: 2 };
        let callback = Callback {
            context: 0,
            callee: id,
            on_reply: function,
            on_reject: function,
            on_cleanup: None,
            cycles: Cycles(5),
            reserved: Cycles(0),
            deadline,
        };
        state.insert_callback(&id, callback);
    }
    add_snapshots(&mut state, &canister_id(0x104));
    let reject = Reject::new(RejectCode::CanisterError, mains_types::ErrorCode::CanisterTrapped, "no");
    state.insert_ingress(RequestId([1; 32]), entry(u64::MAX, IngressStatus::Replied(Arc::new(vec![1, 2].into()))));
    state.insert_ingress(RequestId([2; 32]), entry(u64::MAX, IngressStatus::Rejected(reject)));
    state.insert_ingress(RequestId([3; 32]), entry(u64::MAX, IngressStatus::Processing));
    state.system_queue.push(SystemMessage {
        origin: CallOrigin::System,
        sender: Principal::anonymous(),
        callee: Principal::management_canister(),
        method: "m".into(),
        argument: vec![1],
        cycles: Cycles::ZERO,
    });
    state.seal(Height(1), UnixNanos(2_000), [1; 32]);
    state.ledger.take_journal();
    state
}

/// Three snapshots: as the canister is, as it was with another page, and an upload.
fn add_snapshots(state: &mut State, id: &CanisterId) {
    let canister = state.canister_mut(id).unwrap();
    let mut older = canister.code.clone().unwrap();
    older.heap.pages.write(8_192, b"older");
    older.heap.pages.set(16, &[0; crate::PAGE_BYTES]);
    let upload = Upload { module_bytes: 3, heap_bytes: 65_536, globals: vec![Global::F32(7)], ..Upload::default() };
    let contents = [Content::Taken(older), Content::Uploaded(upload), Content::Taken(canister.code.clone().unwrap())];
    for content in contents {
        let chunk = (<Digest32>::from(Sha256::digest(b"chunk")), Arc::new(b"chunk".to_vec().into()));
        let snapshot = Snapshot::new(UnixNanos(7), 3, content, b"data".to_vec());
        let snapshot = snapshot.with_chunks([chunk].into_iter().collect());
        canister.snapshots.insert(canister.next_snapshot, Arc::new(snapshot));
        canister.next_snapshot += 1;
    }
}

#[test]
fn snapshots_come_back_from_an_encoding_and_share_their_pages() {
    let state = busy();
    let id = canister_id(0x104);
    let without = {
        let mut state = state.clone();
        state.canister_mut(&id).unwrap().snapshots.clear();
        state.encode().len()
    };
    assert!(state.encode().len() < without + 3 * crate::PAGE_BYTES, "pages that are shared stand once");
    let again = State::decode(&state.encode()).unwrap();
    let canister = again.canister(&id).unwrap();
    assert_eq!(canister.snapshots_bytes(), state.canister(&id).unwrap().snapshots_bytes());
    let code = |number: u64| match &canister.snapshots[&number].content {
        Content::Taken(code) => code.clone(),
        Content::Uploaded(_) => panic!("it was taken"),
    };
    let own = &canister.code.as_ref().unwrap().heap.pages;
    assert!(code(2).heap.pages.same(own));
    assert_eq!(code(0).heap.pages.get(16), None);
    assert!(Arc::ptr_eq(&code(0).wasm, &code(2).wasm));
    assert!(canister.snapshots[&1].is_upload());
    let page = &code(0).heap.pages;
    assert_eq!(&page.get(2).unwrap()[..5], b"older");
}

#[test]
fn a_decoded_state_has_the_same_root_bytes_and_indexes() {
    let state = busy();
    let bytes = state.encode();
    let again = State::decode(&bytes).unwrap();
    assert_eq!(again.root(), state.root());
    assert_eq!(again.encode(), bytes);
    assert_eq!(again.ready, state.ready);
    assert_eq!(again.timers, state.timers);
    assert_eq!(again.heartbeats, state.heartbeats);
    assert_eq!(again.deadlines, state.deadlines);
    assert!(!again.timers.is_empty() && !again.heartbeats.is_empty() && !again.deadlines.is_empty());
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let bytes = busy().encode();
    assert!(State::decode(&bytes[..bytes.len() - 1]).is_err());
    assert_eq!(State::decode(&[&bytes[..], &[0]].concat()).unwrap_err(), EncodingError::TrailingBytes(1));
    assert!(State::decode(&[]).is_err() && State::decode(&[255; 64]).is_err());
}

#[test]
fn what_the_root_does_not_cover_cannot_be_forged_in_an_encoding() {
    type Forgery = fn(&mut Canister);
    let forgeries: [Forgery; 6] = [
        |canister| canister.next_snapshot = 2,
        |canister| {
            let snapshot = Arc::make_mut(canister.snapshots.get_mut(&2).unwrap());
            let Content::Taken(code) = &mut snapshot.content else { panic!("it was taken") };
            code.wasm = Arc::default();
        },
        |canister| canister.queue_bytes += 1,
        |canister| canister.code.as_mut().unwrap().exports = Arc::default(),
        |canister| canister.code.as_mut().unwrap().wasm = Arc::default(),
        |canister| drop(canister.chunks.insert([1; 32], Arc::default())),
    ];
    for (number, forge) in forgeries.into_iter().enumerate() {
        let mut state = busy();
        forge(state.canister_mut(&canister_id(0x104)).unwrap());
        let error = State::decode(&state.encode()).unwrap_err();
        assert!(matches!(error, EncodingError::Inconsistent(_)), "forgery {number}: {error}");
    }
}

#[test]
fn every_change_of_a_canister_changes_the_root_and_undoing_it_restores_it() {
    type Change = fn(&mut Canister);
    let changes: [Change; 14] = [
        |canister| drop(canister.snapshots.remove(&1)),
        |canister| Arc::make_mut(canister.snapshots.get_mut(&0).unwrap()).canister_version += 1,
        |canister| {
            let snapshot = Arc::make_mut(canister.snapshots.get_mut(&1).unwrap());
            let Content::Uploaded(upload) = &mut snapshot.content else { panic!("it was uploaded") };
            upload.stable.write(5, b"x");
        },
        |canister| canister.code.as_mut().unwrap().heap.pages.write(1_000_000, b"x"),
        |canister| canister.code.as_mut().unwrap().heap.globals[1] += 1,
        |canister| canister.code.as_mut().unwrap().stable.write(0, b"x"),
        |canister| canister.code.as_mut().unwrap().stable_pages += 1,
        |canister| canister.settings.freezing_threshold_seconds += 1,
        |canister| canister.certified_data = b"data".to_vec(),
        |canister| canister.call_policy.get_or_insert_default().set(Some(Cycles(7)), None),
        |canister| canister.call_policy.get_or_insert_default().admit(UnixNanos(9), &Principal::anonymous(), Cycles(7)),
        |canister| canister.status = RunStatus::Stopped,
        |canister| canister.heartbeat_waits ^= true,
        |canister| canister.append_log(UnixNanos(5), [b"more".to_vec()]),
    ];
    let state = busy();
    let id = canister_id(0x104);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = state.clone();
        let before = changed.canister(&id).unwrap().clone();
        change(changed.canister_mut(&id).unwrap());
        let root = changed.seal(state.height, state.time, state.block);
        assert_ne!(root, state.root(), "change {number}");
        assert_eq!(State::decode(&changed.encode()).unwrap().root(), root, "change {number}");
        changed.replace_canister(before);
        assert_eq!(changed.seal(state.height, state.time, state.block), state.root(), "change {number}");
    }
}

#[test]
fn the_tree_says_what_the_interface_promises() {
    let state = busy();
    let (tree, id, subnet) = (state.tree(), canister_id(0x104), state.subnet.id);
    let of = |leaf: &'static [u8]| tree.leaf(&[b"canister".as_slice(), id.as_slice(), leaf]).map(<[u8]>::to_vec);
    assert_eq!(of(b"module_hash").unwrap(), state.canister(&id).unwrap().code.as_ref().unwrap().module_hash);
    assert_eq!(of(b"controllers").unwrap(), [0xd9, 0xd9, 0xf7, 0x80]);
    assert_eq!(
        tree.leaf(&[b"canister".as_slice(), id.as_slice(), b"metadata", b"candid:service"]),
        Some(&b"service : {}"[..])
    );
    assert_eq!(tree.leaf(&[b"time"]).unwrap(), leb128(2_000));
    assert_eq!(of(b"canister_creation_timestamp").unwrap(), leb128(1_000));
    assert_eq!(of(b"last_install_timestamp"), None, "it was never installed, only put there");
    let mut installed = state.clone();
    installed.canister_mut(&id).unwrap().installed_at = Some(UnixNanos(300));
    installed.seal(Height(2), UnixNanos(3_000), [2; 32]);
    let path = [b"canister".as_slice(), id.as_slice(), b"last_install_timestamp"];
    assert_eq!(installed.tree().leaf(&path).unwrap(), leb128(300));
    let ledger = mains_types::ids::cycles_ledger_id();
    let interface = tree.leaf(&[b"canister".as_slice(), ledger.as_slice(), b"metadata", b"candid:service"]).unwrap();
    assert!(std::str::from_utf8(interface).unwrap().contains("icrc3_get_blocks"));
    assert_eq!(tree.leaf(&[b"subnet".as_slice(), subnet.as_slice(), b"public_key"]).unwrap().len(), 133);
    let nodes = tree.get(&[b"subnet".as_slice(), subnet.as_slice(), b"node"]).unwrap().tree().unwrap();
    assert_eq!(nodes.iter().count(), 4);
    let low = canister_id(0x0210_0000);
    let range = tree.leaf(&[b"canister_ranges".as_slice(), subnet.as_slice(), low.as_slice()]).unwrap();
    assert_eq!(range.len(), 3 + 1 + 1 + 2 * 11);
    let without = canister_id(0x102);
    assert!(tree.get(&[b"canister".as_slice(), without.as_slice(), b"module_hash"]).is_none(), "it has no code");
    let status = |request: u8, leaf: &'static [u8]| {
        tree.leaf(&[b"request_status".as_slice(), &[request; 32], leaf]).map(<[u8]>::to_vec)
    };
    assert_eq!(status(1, b"reply").unwrap(), [1, 2]);
    assert_eq!(status(2, b"reject_code").unwrap(), [5]);
    assert_eq!(status(2, b"error_code").unwrap(), b"IC0502");
    assert_eq!(status(3, b"status").unwrap(), b"processing");
    assert_eq!(status(3, b"cost").unwrap(), leb128(1 << 70));
}

#[test]
fn the_subnets_metrics_count_canisters_bytes_cycles_and_messages() {
    let mut state = busy();
    state.metrics.messages = 300;
    state.seal(Height(2), UnixNanos(3_000), [2; 32]);
    let bytes: u64 = state.canisters().map(Canister::memory_bytes).sum();
    assert_eq!(state.canisters_bytes(), bytes);
    let path = [b"subnet".as_slice(), state.subnet.id.as_slice(), b"metrics"];
    let leaf = state.tree().leaf(&path).unwrap();
    let mut expected = b"\xd9\xd9\xf7\xa4\x6dnum_canisters\x10\x74canister_state_bytes\x1a".to_vec();
    expected.extend(u32::try_from(bytes).unwrap().to_be_bytes());
    expected.extend(b"\x75consumed_cycles_total\xa2\x00\x00\x01\xf6\x78\x19update_transactions_total\x19\x01\x2c");
    assert_eq!(leaf, expected);
    state.canister_mut(&canister_id(0x104)).unwrap().code = None;
    state.remove_canister(&canister_id(0x105));
    state.seal(Height(3), UnixNanos(4_000), [3; 32]);
    assert_eq!(state.canisters_bytes(), state.canisters().map(Canister::memory_bytes).sum::<u64>());
    assert!(state.canisters_bytes() < bytes);
    assert_eq!(State::decode(&state.encode()).unwrap().canisters_bytes(), state.canisters_bytes());
}

#[test]
fn a_removed_canister_leaves_nothing_behind() {
    let mut state = State::genesis(&genesis());
    state.ledger.take_journal();
    let root = state.root();
    let id = canister_id(0x104);
    let mut canister = Canister::new(id, Settings::default(), state.time);
    canister.code = Some(code("m", 1));
    canister.global_timer = Some(UnixNanos(5));
    state.insert_canister(canister);
    state.enqueue(&id, Message::Task(Task::Heartbeat));
    assert_ne!(state.seal(Height(0), UnixNanos(1_000), [0; 32]), root);
    state.remove_canister(&id);
    state.seal(Height(0), UnixNanos(1_000), [0; 32]);
    state.next_turn = 0;
    assert_eq!(state.seal(Height(0), UnixNanos(1_000), [0; 32]), root);
    assert!(state.timers.is_empty() && state.heartbeats.is_empty() && !state.has_work());
}

#[test]
fn an_outcome_is_kept_then_done_then_forgotten() {
    let mut state = State::genesis(&genesis());
    let (id, retention) = (RequestId([4; 32]), limits::REPLY_RETENTION_NANOS);
    state.insert_ingress(id, entry(1_000 + 2 * retention, IngressStatus::Received));
    state.seal(Height(1), UnixNanos(1_000 + 3 * retention), [1; 32]);
    assert_eq!(state.ingress_status(&id), Some(&IngressStatus::Received), "one without an outcome stays");
    let mut state = State::genesis(&genesis());
    state.insert_ingress(id, entry(1_000 + 2 * retention, IngressStatus::Received));
    state.set_ingress_status(&id, IngressStatus::Replied(Arc::default()));
    state.set_ingress_status(&id, IngressStatus::Processing);
    let at = |state: &mut State, nanos| {
        state.seal(Height(1), UnixNanos(nanos), [1; 32]);
        state.ingress_status(&id).map(IngressStatus::name)
    };
    assert_eq!(at(&mut state, 1_000 + retention - 1), Some("replied"));
    assert_eq!(at(&mut state, 1_000 + retention), Some("done"));
    assert_eq!(at(&mut state, 1_000 + 2 * retention - 1), Some("done"));
    assert_eq!(at(&mut state, 1_000 + 2 * retention), None);
    assert!(state.ingress.is_empty());
}

#[test]
fn canisters_with_messages_take_turns() {
    let mut state = State::genesis(&genesis());
    let ids = [canister_id(0x101), canister_id(0x102)];
    ids.iter().for_each(|id| state.insert_canister(Canister::new(*id, Settings::default(), UnixNanos(0))));
    for id in [ids[1], ids[1], ids[1], ids[0], ids[0]] {
        assert!(state.enqueue(&id, Message::Task(Task::GlobalTimer)));
    }
    assert!(!state.enqueue(&canister_id(0x103), Message::Task(Task::GlobalTimer)));
    let order: Vec<_> = std::iter::from_fn(|| state.dequeue()).map(|(id, _)| id).collect();
    assert_eq!(order, [ids[1], ids[0], ids[1], ids[0], ids[1]]);
    assert!(!state.has_work() && state.canister(&ids[1]).unwrap().turn.is_none());
}

#[test]
fn a_log_keeps_the_latest_lines_within_its_limit() {
    let mut canister = Canister::new(canister_id(1), Settings::default(), UnixNanos(0));
    canister.append_log(UnixNanos(1), (0..100u8).map(|line| vec![line; 100]));
    assert!(canister.log_bytes() <= limits::LOG_BYTES_MAX as u64);
    assert_eq!(canister.log.back().unwrap().index, 99);
    canister.append_log(UnixNanos(2), std::iter::repeat_n(Vec::new(), 3_000));
    assert_eq!(canister.log.len(), limits::LOG_RECORDS_MAX);
}

#[test]
fn the_newest_settlements_are_certified_whole_and_older_ones_are_forgotten() {
    let mut state = State::genesis(&genesis());
    let leaf = |state: &State, epoch: u64| {
        let path = [b"mains".to_vec(), b"settlement".to_vec(), epoch.to_be_bytes().to_vec()];
        state.tree().leaf(&path).map(<[u8]>::to_vec)
    };
    let kept = crate::epochs::SETTLEMENTS_MAX as u64;
    for epoch in 1..=kept + 2 {
        let settled = state.epochs.close(Height(epoch), UnixNanos(epoch), Default::default()).clone();
        assert_eq!(leaf(&state, epoch), None);
        let root = state.seal(Height(epoch), UnixNanos(2_000 + epoch), [7; 32]);
        assert_eq!(leaf(&state, epoch), Some(settled.encode()));
        assert_eq!(leaf(&state, epoch - epoch.min(kept)), None);
        assert_eq!(State::decode(&state.encode()).unwrap().root(), root, "epoch {epoch}");
    }
    assert!(leaf(&state, 2).is_none() && leaf(&state, 3).is_some());
}
