//! Serves the router on a socket, one task a connection, until it is told to stop.

use crate::connection::{Connection, Watched};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::Service;

/// Accepts until the other end of `stop` is dropped or speaks; connections then open are aborted.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            accepted = listener.accept() => {
                // A refused accept is a passing shortage; the next one is tried when the runtime comes back to it.
                if let Ok((socket, _)) = accepted {
                    connections.spawn(converse(socket, router.clone()));
                } else {
                    tokio::task::yield_now().await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Serves one connection to its end. How it ends, the ledger shows.
async fn converse(socket: TcpStream, router: Router) {
    // Answers leave in many small parts under some faults; they must not wait for each other.
    let _ = socket.set_nodelay(true);
    let connection = Connection::default();
    let io = TokioIo::new(Watched::new(socket, connection.clone()));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        router.clone().call(request.map(Body::new))
    });
    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
}
