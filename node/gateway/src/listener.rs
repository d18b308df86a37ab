//! One connection's bytes, bounded in silence and in slowness.

use crate::connections::Place;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Without a byte in either direction.
    pub(crate) idle: Duration,
    /// From the first byte of a request's head to its last.
    pub(crate) head: Duration,
    /// Without taking a byte that is there for it.
    pub(crate) write: Duration,
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    place: Arc<Place>,
    patience: Patience,
    active_at: Instant,
    /// Since when bytes of a head have come, if no request is under way.
    head_began: Option<Instant>,
    // Armed once and only moved when it fires, so that an active connection does not touch the timer wheel.
    alarm: Pin<Box<Sleep>>,
    /// Set while the client takes nothing.
    write_alarm: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// The connection that holds `place`.
    pub(crate) fn new(stream: TcpStream, place: Arc<Place>, patience: Patience) -> Self {
        // Replies are written whole: waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        let alarm = Box::pin(tokio::time::sleep(patience.idle.min(patience.head)));
        let active_at = Instant::now();
        Self { stream, place, patience, active_at, head_began: None, alarm, write_alarm: None }
    }

    /// When reading has taken too long, as things are.
    fn due(&mut self) -> Instant {
        if self.place.is_busy() {
            self.head_began = None;
        }
        let silent = self.active_at + self.patience.idle;
        self.head_began.map_or(silent, |began| silent.min(began + self.patience.head))
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let due = self.due();
        if due <= Instant::now() {
            return true;
        }
        // The alarm may lie before the moment that counts, never after it.
        if self.alarm.deadline() > due {
            self.alarm.as_mut().reset(due);
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            if due <= Instant::now() {
                return true;
            }
            self.alarm.as_mut().reset(due);
        }
        false
    }

    /// Remembers that bytes went out, or how long none could.
    fn wrote<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.active_at = Instant::now();
            self.write_alarm = None;
            return written;
        }
        let patience = self.patience.write;
        let alarm = self.write_alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if alarm.as_mut().poll(context).is_ready() { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { written }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        if read.is_ready() {
            self.active_at = Instant::now();
            if buf.filled().len() > before && !self.place.is_busy() {
                let now = self.active_at;
                self.head_began.get_or_insert(now);
            }
        }
        if self.is_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connections;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(60);

    /// Both ends.
    async fn pair(patience: Patience) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        let place = Connections::new(1).open().expect("room");
        (client, Connection::new(stream, place, patience))
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let (_client, mut connection) = pair(Patience { idle: SHORT, head: LONG, write: LONG }).await;
        let error = connection.read_u8().await.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_head_that_trickles_in_is_cut_off_although_it_is_never_silent() {
        let (mut client, mut connection) = pair(Patience { idle: LONG, head: SHORT, write: LONG }).await;
        let dripping = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut bytes = Vec::new();
        let error = connection.read_to_end(&mut bytes).await.expect_err("it never ends");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!bytes.is_empty());
        drop(connection);
        dripping.await.expect("the client sees the end");
    }

    #[tokio::test]
    async fn a_body_may_take_longer_than_a_head() {
        let (mut client, mut connection) = pair(Patience { idle: LONG, head: SHORT, write: LONG }).await;
        client.write_all(b"h").await.expect("sent");
        connection.read_u8().await.expect("the head");
        let _busy = connection.place.begin();
        let late = tokio::time::timeout(SHORT * 3, connection.read_u8()).await;
        assert!(late.is_err(), "it still waits for the body: {late:?}");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (_client, mut connection) = pair(Patience { idle: LONG, head: LONG, write: SHORT }).await;
        let error = connection.write_all(&vec![0; 64 << 20]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
