//! Which address gives what.

use super::guard::{Guard, guard};
use super::page::{self, Asked, Named};
use super::picture::Picture;
use super::{Web, asset, metrics};
use crate::config;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::{Stream, stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The page that is open is drawn again at most this often.
const LIVE_EVERY: Duration = Duration::from_secs(2);
/// What is said before anything was seen.
const BLIND: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "the state has not been read yet\n");

/// All routes, guarded.
pub fn router(web: Arc<Web>, settings: &config::Status, address: SocketAddr) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/stream", get(stream_page))
        .route("/explain", get(explain))
        .route("/live", get(live))
        .route("/api/status", get(status))
        .route("/api/history", get(history))
        .route("/metrics", get(prometheus))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .merge(asset::routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .layer(from_fn_with_state(Arc::new(Guard::new(settings, address)), guard))
        .with_state(web)
}

/// The newest picture, or what to say without one.
async fn look(web: &Web) -> Result<Arc<Picture>, Response> {
    web.viewer.look().await.ok_or_else(|| BLIND.into_response())
}

async fn overview(State(web): State<Arc<Web>>, Query(asked): Query<Asked>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    Ok(page::overview(&picture, &asked, &web.history).await.into_response())
}

async fn stream_page(State(web): State<Arc<Web>>, Query(named): Query<Named>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    let page = page::stream(&picture, &named, &web.history).await;
    page.map(IntoResponse::into_response).ok_or_else(|| {
        let gone = page::nothing(&picture, "There is no such stream.");
        (StatusCode::NOT_FOUND, gone).into_response()
    })
}

/// The id that was asked for.
#[derive(Deserialize)]
struct Id {
    #[serde(default)]
    id: String,
}

async fn explain(State(web): State<Arc<Web>>, Query(Id { id }): Query<Id>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    let id = id.trim();
    if id.is_empty() {
        return Ok(page::explain(&picture, id, None).into_response());
    }
    // It reads much, so whoever comes second waits.
    let _turn = web.explaining.acquire().await.expect("it is never closed");
    let explained = web.viewer.explain(id).await.map_err(|error| error.to_string());
    Ok(page::explain(&picture, id, Some(explained)).into_response())
}

/// Says each time that there is something new; what it is the browser asks for itself.
async fn live(State(web): State<Arc<Web>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = stream::unfold(web, |web| async move {
        sleep(LIVE_EVERY).await;
        web.viewer.another().await;
        Some((Ok(Event::default().data("new")), web))
    });
    Sse::new(news).keep_alive(KeepAlive::default())
}

async fn status(State(web): State<Arc<Web>>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    Ok(([(CONTENT_TYPE, "application/json")], picture.json.clone()).into_response())
}

/// Columns for a drawing: moments (seconds since 1970), levels, events a minute.
async fn history(State(web): State<Arc<Web>>, Query(named): Query<Named>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    let points = page::day(&picture, &named, &web.history).await;
    let moments: Vec<i64> = points.iter().map(|point| point.minute * 60).collect();
    let levels: Vec<Option<i64>> = points.iter().map(|point| point.level).collect();
    let flows: Vec<i64> = points.iter().map(|point| point.flow).collect();
    Ok(Json((moments, levels, flows)).into_response())
}

async fn prometheus(State(web): State<Arc<Web>>) -> Result<Response, Response> {
    let picture = look(&web).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&picture)).into_response())
}

async fn ready(State(web): State<Arc<Web>>) -> (StatusCode, &'static str) {
    match web.viewer.look().await {
        None => BLIND,
        Some(picture) if metrics::is_ready(&picture) => (StatusCode::OK, "ready\n"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "no stream can run: see `state show` or the status page\n"),
    }
}
