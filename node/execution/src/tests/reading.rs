use super::network::{CREDIT, Network, user};
use crate::{QueryCall, inspect, query, read_state};
use mains_types::{ErrorCode, Principal, ids::canister_id};

fn ask(network: &Network, id: Principal, method: &str, script: &str) -> Result<String, mains_types::Reject> {
    let call = QueryCall {
        sender: user(2),
        caller_info: None,
        canister_id: id,
        method: method.into(),
        argument: script.as_bytes().to_vec(),
    };
    query(&network.host, network.state(), None, &call).map(|reply| String::from_utf8(reply).unwrap())
}

#[test]
fn a_query_sees_the_state_and_changes_nothing() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.run(id, "inc;reply_count").unwrap();
    let before = network.state().encode();
    assert_eq!(ask(&network, id, "ask", "inc;reply_count").unwrap(), "2");
    assert_eq!(ask(&network, id, "ask", "reply_count").unwrap(), "1");
    assert_eq!(network.state().encode(), before);
    assert_eq!(ask(&network, id, "run", "").unwrap_err().error_code, Some(ErrorCode::CanisterMethodMissing));
    let missing = canister_id(0x999);
    assert_eq!(ask(&network, missing, "ask", "").unwrap_err().error_code, Some(ErrorCode::CanisterNotFound));
}

#[test]
fn a_composite_query_asks_other_canisters_and_refuses_circles() {
    let mut network = Network::new(&["inc;reply_count", "reply_data", "reply_code", ""]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    network.run(b, "inc;inc;reply_count").unwrap();
    assert_eq!(ask(&network, a, "compose", &format!("call {b} ask 0 0 1")).unwrap(), "3");
    assert_eq!(ask(&network, a, "compose", &format!("call {a} ask 0 0 1")).unwrap(), "5");
}

#[test]
fn inspection_lets_a_canister_refuse_a_message() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "canister_inspect_message", CREDIT);
    let accepted = network.call(1, id, "run", b"ok");
    let refused = network.call(1, id, "run", b"inc");
    let missing = network.call(1, id, "other", b"ok");
    let state = network.state();
    assert!(inspect(&network.host, state, &accepted).is_ok());
    let code = |call| inspect(&network.host, state, call).unwrap_err().error_code;
    assert_eq!(code(&refused), Some(ErrorCode::CanisterRejectedMessage));
    assert_eq!(code(&missing), Some(ErrorCode::CanisterMethodMissing));
}

#[test]
fn only_the_sender_reads_a_request_and_only_controllers_read_private_sections() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let call = network.call(1, id, "run", b"reply ok");
    let request = call.request_id;
    network.block(vec![call]);
    let state = network.state_mut();
    let code = state.canister_mut(&id).unwrap().code.as_mut().unwrap();
    let section = |is_public| mains_state::Section { is_public, content: Default::default() };
    code.sections =
        std::sync::Arc::new([("open".to_owned(), section(true)), ("secret".to_owned(), section(false))].into());
    let state = network.state();
    let may = |sender: u8, effective: Option<Principal>, path: &[&[u8]]| {
        let paths = [path.iter().map(|label| label.to_vec()).collect::<Vec<_>>()];
        read_state::authorize(state, user(sender), effective, &paths).is_ok()
    };
    let status: &[&[u8]] = &[b"request_status", &request.0];
    assert!(may(1, Some(id), status) && !may(2, Some(id), status) && !may(1, None, status));
    assert!(may(2, Some(id), &[b"request_status", &[8; 32]]), "nothing to learn about an unknown one");
    let section = |name: &'static [u8]| [b"canister".as_slice(), id.as_slice(), b"metadata", name];
    assert!(may(2, Some(id), &section(b"open")) && may(1, Some(id), &section(b"secret")));
    assert!(!may(2, Some(id), &section(b"secret")) && may(2, Some(id), &section(b"absent")));
    assert!(!may(1, Some(id), &[b"canister", id.as_slice(), b"metadata"]));
    assert!(!may(1, Some(canister_id(0x101)), &[b"canister", id.as_slice(), b"module_hash"]));
    for leaf in [&b"canister_creation_timestamp"[..], b"last_install_timestamp", b"controllers"] {
        assert!(may(2, Some(id), &[b"canister", id.as_slice(), leaf]));
    }
    let metrics: &[&[u8]] = &[b"subnet", state.subnet.id.as_slice(), b"metrics"];
    assert!(may(2, None, metrics) && !may(2, Some(id), metrics));
    assert!(may(3, Some(id), &[b"time"]) && may(3, None, &[b"mains", b"account", id.as_slice()]));
    assert!(!may(1, Some(id), &[]) && !may(1, Some(id), &[b"request_status"]) && !may(1, Some(id), &[b"other"]));
    let two = [vec![b"request_status".to_vec(), vec![1; 32]], vec![b"request_status".to_vec(), vec![2; 32]]];
    assert!(read_state::authorize(state, user(1), Some(id), &two).is_err());
}
