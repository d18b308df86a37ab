//! Clients that waste a node's sockets, memory and patience: whoever behaves is served all the while, and whoever does not
//! is answered or cut off within the node's own bounds.

use anyhow::{Context as _, Result, bail, ensure};
use mains_client::{Client, identity};
use mains_conformance::{manage, modules, process::Solo, request};
use mains_types::CanisterId;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 27_000;
/// Small bounds, so that few clients reach them.
const BOUNDS: &str = "\n[gateway]\nconnections_max = 64\nhead_read_ms = 1000\nbody_read_ms = 2000\nidle_ms = 30000\n\
                      waiting_calls_max = 24\nbodies_bytes_max = 8388608\n";
const CONNECTIONS_MAX: usize = 64;
/// How long the node may take to cut a client off, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a node may grow by while all this happens: its budgets are far smaller, the allocator is not exact.
const GROWTH_MAX: u64 = 200 << 20;

/// A node, and somebody who behaves.
struct Scene {
    port: u16,
    pid: u32,
    counter: CanisterId,
    root_key: Vec<u8>,
}

impl Scene {
    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Many connections on which the same bytes were sent.
    fn connections(&self, count: usize, bytes: &[u8]) -> Result<Vec<TcpStream>> {
        let open = || -> Result<TcpStream> {
            let mut stream = self.connect()?;
            stream.write_all(bytes)?;
            Ok(stream)
        };
        (0..count).map(|_| open()).collect()
    }

    fn client(&self) -> Result<Client> {
        Ok(Client::trusting(&format!("http://127.0.0.1:{}", self.port), identity::anonymous(), &self.root_key)?)
    }

    /// The head of a call with this many bytes.
    fn call_head(&self, length: usize) -> String {
        let path = request::path(self.counter, "call");
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: {length}\r\n\r\n")
    }

    fn memory_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().next().context("VmRSS")?.parse::<u64>()? << 10)
    }
}

#[test]
fn whoever_behaves_is_served_all_the_while() {
    mains_conformance::run(async {
        let node = Solo::new(FIRST_PORT).expect("a node's files");
        let config = fs::read_to_string(node.dir().config()).expect("a config file") + BOUNDS;
        fs::write(node.dir().config(), config).expect("writable");
        let _running = node.start(NODE).expect("it starts");
        let run: serde_json::Value =
            serde_json::from_slice(&fs::read(node.dir().run_file()).expect("a run file")).expect("JSON");
        let pid = run["pid"].as_u64().expect("an id") as u32;
        let client = Client::connect(&format!("http://127.0.0.1:{}", node.api_port), identity::anonymous()).await;
        let client = client.expect("it serves");
        let counter = manage::create_with(&client, &modules::counter()).await.expect("a counter");
        let scene = Arc::new(Scene { port: node.api_port, pid, counter, root_key: client.root_key().to_vec() });
        let before = scene.memory_bytes().expect("it lives");
        type Case = fn(&Scene) -> Result<()>;
        let cases: [(&str, Case); 9] = [
            ("heads that trickle in", trickling_heads),
            ("many idle connections", idle_connections),
            ("bodies announced and not sent", bodies_not_sent),
            ("bodies cut off", bodies_cut_off),
            ("half-closed connections", half_closed),
            ("huge heads", huge_heads),
            ("another protocol", another_protocol),
            ("requests one after the other without reading", unread_replies),
            ("more calls than there are places", too_many_calls),
        ];
        let mut failures = Vec::new();
        for (name, case) in cases {
            let began = Instant::now();
            match with_company(scene.clone(), case).await {
                Ok(calls) => eprintln!("ok     {:5.2} s  {name}, {calls} honest calls", began.elapsed().as_secs_f64()),
                Err(error) => failures.push(format!("{name}: {error:#}")),
            }
        }
        let growth = scene.memory_bytes().expect("it lives").saturating_sub(before);
        eprintln!("memory grew by {} KiB", growth >> 10);
        assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
        assert!(growth < GROWTH_MAX, "memory grew by {growth} bytes");
    });
}

/// Runs a case while somebody behaves: his calls and queries are all answered, before, during and after.
async fn with_company(scene: Arc<Scene>, case: fn(&Scene) -> Result<()>) -> Result<usize> {
    let client = scene.client()?;
    let counter = scene.counter;
    let is_over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let company = tokio::spawn({
        let (is_over, calls) = (is_over.clone(), calls.clone());
        async move {
            while !is_over.load(Ordering::Relaxed) {
                client.call(counter, "inc", Vec::new()).await?.reply()?;
                manage::get(&client, counter).await?;
                calls.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }
    });
    let hostile = scene.clone();
    let ran = tokio::task::spawn_blocking(move || case(&hostile)).await?;
    // At least one call begins after the case.
    let before = calls.load(Ordering::Relaxed);
    let began = Instant::now();
    while calls.load(Ordering::Relaxed) < before + 2 && !company.is_finished() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    company.await?.context("somebody who behaves")?;
    ran?;
    Ok(calls.load(Ordering::Relaxed))
}

/// Waits until the node has closed the connection; answers what it said before.
fn until_closed(stream: &mut TcpStream) -> Result<String> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        Err(error) => bail!("the node keeps it open: {error}"),
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The status of the next answer.
fn status(stream: &mut TcpStream) -> Result<u16> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("an answer")?;
    Ok(std::str::from_utf8(&head[9..])?.parse()?)
}

/// Never silent, never done: cut off all the same.
fn trickling_heads(scene: &Scene) -> Result<()> {
    let mut streams = scene.connections(CONNECTIONS_MAX / 2, b"GET /api/v2/status HTTP/1.1\r\nhost: x\r\n")?;
    let began = Instant::now();
    let mut open = streams.len();
    while open > 0 {
        ensure!(began.elapsed() < PATIENCE, "{open} of {} are still open", streams.len());
        open = streams.iter_mut().filter_map(|stream| stream.write_all(b"x: y\r\n").ok()).count();
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Three times as many as there is room for: newcomers get in all the same.
fn idle_connections(scene: &Scene) -> Result<()> {
    let mut idle = scene.connections(3 * CONNECTIONS_MAX, b"")?;
    let mut stream = scene.connect()?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")?;
    ensure!(status(&mut stream)? == 200, "a newcomer is not served");
    let said = until_closed(&mut idle[0])?;
    ensure!(said.is_empty(), "the first idle one was told {said:?}");
    Ok(())
}

/// Together they announce forty times the room for bodies; each gets its answer, and nobody else pays for it.
fn bodies_not_sent(scene: &Scene) -> Result<()> {
    let start = [scene.call_head(5 << 20).as_bytes(), &[0; 1_000]].concat();
    let mut streams = scene.connections(CONNECTIONS_MAX - 8, &start)?;
    for stream in &mut streams {
        let status = status(stream)?;
        ensure!([408, 429, 503].contains(&status), "status {status}");
    }
    Ok(())
}

fn bodies_cut_off(scene: &Scene) -> Result<()> {
    let start = [scene.call_head(1 << 20).as_bytes(), &[0; 300_000]].concat();
    for _ in 0..5 {
        drop(scene.connections(CONNECTIONS_MAX / 4, &start)?);
    }
    Ok(())
}

/// Half a request and no more to come: closed at once, long before any deadline.
fn half_closed(scene: &Scene) -> Result<()> {
    for bytes in [&b"GET /api/v2/sta"[..], b"", scene.call_head(100).as_bytes()] {
        for mut stream in scene.connections(10, bytes)? {
            stream.shutdown(Shutdown::Write)?;
            until_closed(&mut stream)?;
        }
    }
    Ok(())
}

fn huge_heads(scene: &Scene) -> Result<()> {
    let head = |fields: &str| format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
    for fields in [format!("x: {}\r\n", "y".repeat(1 << 20)), "a: b\r\n".repeat(10_000)] {
        let mut stream = scene.connect()?;
        // The node may stop reading before all of it is sent.
        let _ = stream.write_all(head(&fields).as_bytes());
        let said = until_closed(&mut stream)?;
        ensure!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "it said {said:?}");
    }
    let mut stream = scene.connect()?;
    stream.write_all(head(&format!("x: {}\r\n", "y".repeat(60_000))).as_bytes())?;
    ensure!(status(&mut stream)? == 200, "a long head that is allowed is not served");
    Ok(())
}

/// HTTP/2 without asking first, TLS, noise: none is spoken here, and none is waited for.
fn another_protocol(scene: &Scene) -> Result<()> {
    let h2 = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let streams = [0, 0, 8, 1, 5, 0, 0, 0, 1].repeat(1_000);
    for bytes in [&h2, &[h2.clone(), streams].concat(), &vec![0x16, 3, 1, 2, 0, 1], &vec![0xff; 100_000]] {
        let mut stream = scene.connect()?;
        let _ = stream.write_all(bytes);
        let said = until_closed(&mut stream)?;
        ensure!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "it said {said:?}");
    }
    Ok(())
}

/// A thousand requests in a row whose answers nobody reads: the node answers only as fast as it is read.
fn unread_replies(scene: &Scene) -> Result<()> {
    let requests = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let open = |_| -> Result<TcpStream> {
        let mut stream = scene.connect()?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        let _ = stream.write_all(&requests);
        Ok(stream)
    };
    let mut streams = (0..16).map(open).collect::<Result<Vec<_>>>()?;
    ensure!(status(&mut streams[0])? == 200, "the first answer is not there");
    Ok(())
}

/// All places for waiting calls taken: 429 and when to come back, on a connection that can be used again.
fn too_many_calls(scene: &Scene) -> Result<()> {
    let waiting = scene.connections(24, scene.call_head(100).as_bytes())?;
    let began = Instant::now();
    loop {
        let mut stream = scene.connect()?;
        stream.write_all(scene.call_head(0).as_bytes())?;
        let mut said = [0; 1024];
        let length = stream.read(&mut said)?;
        let said = String::from_utf8_lossy(&said[..length]).to_lowercase();
        if said.starts_with("http/1.1 429") {
            ensure!(said.contains("retry-after: 1"), "it said {said:?}");
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "nobody is turned away: {said:?}");
    }
    drop(waiting);
    Ok(())
}
