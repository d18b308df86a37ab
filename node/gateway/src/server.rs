//! The server: routes, layers that apply to all of them, and an orderly end.

use crate::{
    Config,
    admission::Admission,
    failure::Failure,
    health,
    history::History,
    ic, json,
    listener::Bounded,
    metrics::{self, Metrics},
    page,
    web::{self, Web},
};
use axum::{Router, middleware};
use mains_replica::ReplicaHandle;
use std::{future::Future, io, sync::Arc};
use tokio::{net::TcpListener, sync::watch};
use tower_http::cors::CorsLayer;

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
    pub(crate) history: History,
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
    let listener = Bounded::new(listener, config.connections_max, config.idle());
    let drain = config.drain();
    let admission = Arc::new(Admission::new(config.bodies_bytes_max, config.waiting_calls_max));
    let web = Arc::new(Web { canisters: replica.clone(), admission: admission.clone(), config: config.clone() });
    let gateway =
        Arc::new(Gateway { admission, history: History::default(), metrics: Metrics::default(), replica, config });

    let (stop, mut stopped) = watch::channel(false);
    let watcher = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.history.follow(gateway.replica.clone()).await }
    });
    let serving = axum::serve(listener, routes(gateway, web)).with_graceful_shutdown(async move {
        shutdown.await;
        let _ = stop.send(true);
    });
    let drained = async move {
        // An error means that the signal's owner is gone: the server ended by itself.
        if stopped.wait_for(|stopped| *stopped).await.is_ok() {
            tokio::time::sleep(drain).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let served = tokio::select! {
        served = serving.into_future() => served,
        () = drained => Ok(()),
    };
    watcher.abort();
    Ok(served?)
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
        .layer(CorsLayer::permissive())
        .layer(middleware::from_fn_with_state(web, web::divert::<ReplicaHandle>))
        .layer(middleware::from_fn_with_state(gateway.clone(), metrics::count))
        .with_state(gateway)
}
