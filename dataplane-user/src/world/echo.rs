//! Servers that answer with their own name, so that a client knows who it reached.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

use super::{Namespace, WorldError};

/// TCP and UDP servers in a namespace; they stop on drop.
///
/// Every datagram is answered by one with the name, from the address that was asked. On a connection
/// every question (whatever one read returns) is answered by a line with the name, until it ends.
#[derive(Debug)]
pub struct Echo {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Echo {
    /// Starts servers called `name` on `port` of every address.
    ///
    /// # Errors
    /// An address is not configured in the namespace, or the port is taken.
    pub fn start(
        namespace: &Namespace,
        name: &str,
        addresses: &[IpAddr],
        port: u16,
    ) -> Result<Self, WorldError> {
        let operation = format!("serve port {port} as `{name}` in {}", namespace.label());
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let line: Arc<[u8]> = format!("{name}\n").into_bytes().into();
        let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        let thread = namespace.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let bound = bind(&addresses, &line).await;
                let failed = bound.is_err();
                // The starter waits for this; that it has gone means the same as a stop.
                let _ = ready.send(bound);
                if !failed {
                    let _ = stopped.await;
                }
            });
            Ok(())
        })?;
        let echo = Self { stop: Some(stop), thread: Some(thread) };
        match started.recv() {
            Ok(bound) => bound.map_err(WorldError::at(&operation))?,
            Err(gone) => return Err(WorldError::at(&operation)(io::Error::other(gone))),
        }
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing is left to do about a server that failed while it stopped.
            let _ = thread.join();
        }
    }
}

/// Binds everything and serves it on this runtime.
async fn bind(addresses: &[SocketAddr], line: &Arc<[u8]>) -> io::Result<()> {
    for address in addresses {
        let listener = TcpListener::bind(address).await?;
        let socket = UdpSocket::bind(address).await?;
        tokio::spawn(accept(listener, Arc::clone(line)));
        tokio::spawn(answer_datagrams(socket, Arc::clone(line)));
    }
    Ok(())
}

async fn accept(listener: TcpListener, line: Arc<[u8]>) {
    loop {
        // A connection that ended before it was accepted does not end the others.
        if let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer_connection(connection, Arc::clone(&line)));
        } else {
            tokio::task::yield_now().await;
        }
    }
}

async fn answer_connection(mut connection: TcpStream, line: Arc<[u8]>) {
    let mut question = [0; 2048];
    while let Ok(1..) = connection.read(&mut question).await {
        if connection.write_all(&line).await.is_err() {
            break;
        }
    }
}

async fn answer_datagrams(socket: UdpSocket, line: Arc<[u8]>) {
    let mut question = [0; 2048];
    loop {
        // An error here is an ICMP answer to an earlier datagram of ours: that client has gone.
        if let Ok((_, client)) = socket.recv_from(&mut question).await {
            let _ = socket.send_to(&line, client).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}
