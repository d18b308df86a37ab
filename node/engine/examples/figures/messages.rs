//! One message, one call between canisters, one dirty page.

use crate::Result;
use crate::{
    canisters,
    host::Alone,
    kernels::timed,
    report::{Line, ratio, time},
    subnet::Subnet,
};
use candid::Encode;
use mains_engine::{Tracking, WasmtimeEngine};
use mains_state::PageTree;
use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// Messages of one block.
const MESSAGES: usize = 256;
/// Calls of one relay.
const CALLS: u32 = 2_000;
/// Rounds; the shortest time counts.
const ROUNDS: usize = 20;
/// Pages of the heap whose root is computed.
const PAGES: u64 = 65_536;

/// A counter that writes one page.
const TICK: &str = r#"(module (memory 32)
  (func (export "canister_update nothing"))
  (func (export "canister_update tick") (i64.store (i32.const 4096) (i64.add (i64.load (i32.const 4096)) (i64.const 1)))))"#;

/// All of it.
pub(crate) fn measure() -> Result<Vec<Line>> {
    let mut lines = hosts()?;
    let http = http_hop()?;
    lines.push(message(http)?);
    lines.push(call(http)?);
    lines.extend(roots()?);
    Ok(lines)
}

/// One run on the host, for each way of tracking that works here.
fn hosts() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for tracking in Tracking::ALL {
        let Ok(engine) = WasmtimeEngine::with_tracking(None, tracking) else { continue };
        let mut canister = Alone::new(&engine, wat::parse_str(TICK)?)?;
        let [mut nothing, mut tick] = [Duration::MAX; 2];
        for _ in 0..ROUNDS {
            for (method, best) in [("nothing", &mut nothing), ("tick", &mut tick)] {
                let time = timed(|| (0..500).try_for_each(|_| canister.update(method).map(drop)))?;
                *best = (*best).min(time / 500);
            }
        }
        lines.push(Line {
            name: format!("run on a live instance, 2 MiB, one page written, {tracking:?}"),
            figure: time(tick),
            floor: format!("nothing written {}", time(nothing)),
            ratio: ratio(tick.as_secs_f64(), nothing.as_secs_f64()),
            target: if tracking == Tracking::Userfault { "3 us" } else { "-" },
        });
    }
    Ok(lines)
}

/// One round trip over loopback HTTP/1.1 on a connection that is open, with nothing but sockets.
fn http_hop() -> Result<Duration> {
    const REQUEST: &[u8] =
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 32\r\n\r\n01234567890123456789012345678901";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n01234567890123456789012345678901";
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    let (mut server, _) = listener.accept()?;
    server.set_nodelay(true)?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut request = [0; REQUEST.len()];
            while server.read_exact(&mut request).is_ok() && server.write_all(ANSWER).is_ok() {}
        });
        let (mut best, mut answer) = (Duration::MAX, [0; ANSWER.len()]);
        for _ in 0..5_000 {
            let began = Instant::now();
            client.write_all(REQUEST)?;
            client.read_exact(&mut answer)?;
            best = best.min(began.elapsed());
        }
        drop(client);
        Ok(best)
    })
}

/// A client's message from its block to its outcome: everything but consensus.
fn message(http: Duration) -> Result<Line> {
    let mut subnet = Subnet::new()?;
    let canister = subnet.create(1)?;
    subnet.install(&canister, canisters::COUNTER)?;
    let argument = Encode!()?;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let calls = (0..MESSAGES).map(|_| subnet.call(canister[0], "inc", argument.clone())).collect();
        best = best.min(subnet.run(calls)?.1 / MESSAGES as u32);
    }
    Ok(Line {
        name: "message on a live canister: induction, run, ledger, root".into(),
        figure: time(best),
        floor: format!("loopback HTTP {}", time(http)),
        ratio: ratio(best.as_secs_f64(), http.as_secs_f64()),
        target: "-",
    })
}

/// A call from canister to canister: request, reply, callback; the slope between a run with none and one with many.
fn call(http: Duration) -> Result<Line> {
    let mut subnet = Subnet::new()?;
    let pair = subnet.create(2)?;
    subnet.install(&pair, &canisters::relay())?;
    let mut times = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, count) in times.iter_mut().zip([0, CALLS]) {
            let argument = [&count.to_le_bytes()[..], pair[1].as_slice()].concat();
            let call = subnet.call(pair[0], "run", argument);
            *best = (*best).min(subnet.run(vec![call])?.1);
        }
    }
    let each = times[1].saturating_sub(times[0]) / CALLS;
    Ok(Line {
        name: "call between canisters (request, reply, callback)".into(),
        figure: time(each),
        floor: format!("loopback HTTP {}", time(http)),
        ratio: ratio(each.as_secs_f64(), http.as_secs_f64()),
        target: "10 us (stretch 3)",
    })
}

/// The root of a heap after some of its pages changed.
fn roots() -> Result<Vec<Line>> {
    let page = |seed: u64| {
        let mut page = [0u8; mains_state::PAGE_BYTES];
        page[..8].copy_from_slice(&(seed + 1).to_le_bytes());
        page
    };
    let mut heap = PageTree::default();
    (0..PAGES).for_each(|index| heap.set(index, &page(index)));
    heap.digest();
    let mut hash = Duration::MAX;
    for round in 0..200 {
        let page = page(round);
        hash = hash.min(timed(|| {
            black_box(blake3::hash(&page));
            Ok(())
        })?);
    }
    let mut lines = Vec::new();
    for dirty in [1u64, 100, 10_000] {
        let mut best = Duration::MAX;
        for round in 0..ROUNDS as u64 {
            let mut changed = heap.clone();
            let began = Instant::now();
            // Spread over the heap.
            (0..dirty).for_each(|count| changed.set(count * (PAGES / dirty), &page(PAGES + round * 10_000 + count)));
            black_box(changed.digest());
            best = best.min(began.elapsed() / dirty as u32);
        }
        lines.push(Line {
            name: format!("root of a heap of 256 MiB, each of {dirty} pages written"),
            figure: time(best),
            floor: format!("BLAKE3 of a page {}", time(hash)),
            ratio: ratio(best.as_secs_f64(), hash.as_secs_f64()),
            target: "4 us",
        });
    }
    Ok(lines)
}
