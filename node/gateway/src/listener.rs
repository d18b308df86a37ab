//! Connections, bounded in number and in silence.

use axum::serve::Listener;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};

/// A listener that accepts only while there is room and closes connections that stay silent.
pub(crate) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    idle: Duration,
}

impl Bounded {
    /// At most `connections_max` connections, each silent for at most `idle`.
    pub(crate) fn new(listener: TcpListener, connections_max: usize, idle: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS))), idle }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes this semaphore");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Replies are written whole: waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        (Connection::new(stream, self.idle, room), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Duration,
    active_at: Instant,
    // Armed once and only moved when it fires, so that an active connection does not touch the timer wheel.
    alarm: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, idle: Duration, room: OwnedSemaphorePermit) -> Self {
        let alarm = Box::pin(tokio::time::sleep(idle));
        Self { stream, idle, active_at: Instant::now(), alarm, _room: room }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            self.active_at = Instant::now();
            return Poll::Ready(read);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let due = self.active_at + self.idle;
            if due <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.active_at = Instant::now();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        if written.is_ready() {
            self.active_at = Instant::now();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn bounded(connections_max: usize, idle: Duration) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        (Bounded::new(listener, connections_max, idle), address)
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let (mut listener, address) = bounded(1, Duration::from_millis(30)).await;
        let _client = TcpStream::connect(address).await.expect("it listens");
        let (mut connection, _) = listener.accept().await;
        let error = connection.read_u8().await.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_waits_for_another_to_close() {
        let (mut listener, address) = bounded(1, Duration::from_secs(60)).await;
        let _first = TcpStream::connect(address).await.expect("it listens");
        let _second = TcpStream::connect(address).await.expect("the kernel queues it");
        let (held, _) = listener.accept().await;
        assert!(tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_err());
        drop(held);
        assert!(tokio::time::timeout(Duration::from_secs(5), listener.accept()).await.is_ok());
    }
}
