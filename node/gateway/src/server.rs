//! The server: routes, layers that apply to all of them, and an orderly end.

use crate::{
    Config,
    admission::Admission,
    connections::{Connections, Place},
    failure::Failure,
    health,
    history::History,
    ic,
    json::{self, Money},
    listener::{Connection, Patience},
    metrics::{self, Metrics},
    page,
    reply::{self, Sent},
    web::{self, Web},
};
use axum::{Router, body::Body, middleware};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mains_replica::ReplicaHandle;
use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt as _;
use tower_http::cors::CorsLayer;

/// Bytes of a request's head; longer ones get 431. Twice what a canister can be sent.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// Pause after the system had no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// What a connection is told for which there is no room.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Why the gateway ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listening socket failed.
    #[error("the gateway's socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// What every handler can reach.
pub(crate) struct Gateway {
    pub(crate) replica: ReplicaHandle,
    pub(crate) config: Config,
    pub(crate) admission: Arc<Admission>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) history: History,
    pub(crate) money: Money,
    pub(crate) metrics: Metrics,
}

/// Serves `replica` on `listener` until `shutdown` ends; then lets open requests finish for `config.drain_ms`.
///
/// # Errors
/// [`Error::Socket`] if the socket fails; nothing is served any more.
pub async fn serve(
    listener: TcpListener,
    replica: ReplicaHandle,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let patience = Patience { idle: config.idle(), head: config.head_read(), write: config.write_stall() };
    let drain = config.drain();
    let connections = Connections::new(config.connections_max);
    let admission = Arc::new(Admission::new(config.bodies_bytes_max, config.waiting_calls_max));
    let web = Arc::new(Web { canisters: replica.clone(), admission: admission.clone(), config: config.clone() });
    let gateway = Arc::new(Gateway {
        admission,
        connections: connections.clone(),
        history: History::default(),
        money: Money::default(),
        metrics: Metrics::default(),
        replica,
        config,
    });
    let watcher = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.history.follow(gateway.replica.clone()).await }
    });
    let router = routes(gateway, web);
    let (stop, stopped) = watch::channel(false);
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client went away, or the system has no more files: neither ends the server.
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        match connections.open() {
            Some(place) => {
                let connection = Connection::new(stream, place.clone(), patience);
                tokio::spawn(serve_connection(connection, place, router.clone(), stopped.clone()));
            }
            None => {
                let _ = stream.try_write(NO_ROOM);
            }
        }
    }
    drop(listener);
    drop(stopped);
    let _ = stop.send(true);
    // Every connection holds a receiver until it ends.
    let _ = tokio::time::timeout(drain, stop.closed()).await;
    watcher.abort();
    Ok(())
}

/// Serves one connection until it ends, has to make room, or the server stops: then its request is still answered.
async fn serve_connection(
    connection: Connection,
    place: Arc<Place>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let holder = place.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, busy) = (router.clone(), holder.begin());
        async move {
            let response = router.oneshot(request.map(Body::new)).await?;
            Ok::<_, Infallible>(response.map(|body| Sent::new(body, busy)))
        }
    });
    let mut serving =
        pin!(http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).serve_connection(TokioIo::new(connection), service));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = serving.as_mut() => {
                if let Err(error) = served {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = place.closed() => return,
            _ = stopped.wait_for(|stopped| *stopped), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// All routes behind the layers that apply to each: CORS so that failures carry it too; before it, because canisters may
/// answer with CORS headers of their own, requests for canisters leave; metrics count everything.
fn routes(gateway: Arc<Gateway>, web: Arc<Web<ReplicaHandle>>) -> Router {
    Router::new()
        .merge(ic::routes())
        .merge(json::routes())
        .merge(health::routes())
        .merge(page::routes())
        .fallback(|| async { Failure::NoSuchPath })
        .method_not_allowed_fallback(|| async { Failure::WrongMethod })
        .layer(middleware::from_fn_with_state(gateway.clone(), reply::bound))
        .layer(CorsLayer::permissive())
        .layer(middleware::from_fn_with_state(web, web::divert::<ReplicaHandle>))
        .layer(middleware::from_fn_with_state(gateway.clone(), metrics::count))
        .with_state(gateway)
}
