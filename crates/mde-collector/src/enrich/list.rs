//! A list read page by page to its end, whatever its links do. Rows are handed on while they arrive.

use super::EnrichError;
use mde_client::retry::Tries;
use mde_client::{Client, Error, Get, Link, LinkGuard, PageEnd};
use tokio::time::sleep;

/// Empty pages whose links are followed in a row.
const EMPTY_PAGES: u32 = 3;
/// An answer of a multiple of so many rows may have been cut there without a link. Source: field reports.
const ROUND_ROWS: u64 = 100;

/// A walk through a list.
pub struct List<'c> {
    client: &'c Client,
    first: Get,
    /// The page to come; `None` at the end.
    next: Option<Get>,
    guard: LinkGuard,
    /// Most rows of a page that is asked for by its place; `None`: only links lead on.
    cap: Option<usize>,
    /// Rows of the pages that were read whole.
    rows: u64,
    /// Pages without rows, in a row.
    empty: u32,
}

impl<'c> List<'c> {
    /// A walk that begins with that request, which has no `$top`.
    pub fn new(client: &'c Client, first: Get, cap: Option<usize>) -> Self {
        let (guard, next) = (LinkGuard::new(&first), Some(first.clone()));
        Self { client, first, next, guard, cap, rows: 0, empty: 0 }
    }

    /// Rows so far, those of a page that came again counted once; all of them once [`page`](Self::page) has answered `false`.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads a page; `false`: there was none left. A page that is tried again shows its rows again.
    ///
    /// # Errors
    /// What does not pass by itself, and what has not after some tries.
    pub async fn page(
        &mut self,
        row: &mut (dyn FnMut(&[u8]) -> Result<(), EnrichError> + Send),
    ) -> Result<bool, EnrichError> {
        let Some(get) = self.next.take() else { return Ok(false) };
        let mut tries = Tries::default();
        let end = loop {
            match self.once(&get, row).await {
                Err(EnrichError::Api(error)) => calm(error, &mut tries).await?,
                other => break other?,
            }
        };
        self.rows += end.rows;
        self.empty = if end.rows == 0 { self.empty + 1 } else { 0 };
        self.next = self.behind(&get, &end)?;
        Ok(true)
    }

    /// Reads what is left.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn all(
        &mut self,
        row: &mut (dyn FnMut(&[u8]) -> Result<(), EnrichError> + Send),
    ) -> Result<u64, EnrichError> {
        while self.page(row).await? {}
        Ok(self.rows)
    }

    async fn once(
        &self,
        get: &Get,
        row: &mut (dyn FnMut(&[u8]) -> Result<(), EnrichError> + Send),
    ) -> Result<PageEnd, EnrichError> {
        let mut answer = self.client.get(get).await?;
        while let Some(text) = answer.page.next().await? {
            row(text)?;
        }
        Ok(answer.page.rest().await?)
    }

    /// The request for what is behind a page.
    fn behind(&mut self, get: &Get, end: &PageEnd) -> Result<Option<Get>, EnrichError> {
        let by_place = get.query.get("$top").is_some();
        let refused = match &end.next_link {
            Some(Link::Follow(link)) if self.empty <= EMPTY_PAGES => match self.guard.admit(link) {
                Ok(()) => return Ok(Some(self.first.follow(link))),
                Err(error) => Some(error),
            },
            _ => None,
        };
        let Some(cap) = self.cap else {
            // An export's pages are found by their links alone.
            return match (refused, &end.next_link) {
                (Some(error), _) => Err(error.into()),
                (None, Some(_)) => Err(EnrichError::Link),
                (None, None) => Ok(None),
            };
        };
        let full = match by_place {
            true => end.rows >= cap as u64,
            false => end.next_link.is_some() || (end.rows > 0 && end.rows.is_multiple_of(ROUND_ROWS)),
        };
        let passed = usize::try_from(self.rows).unwrap_or(usize::MAX);
        Ok(full.then(|| self.first.clone().query(self.first.query.clone().top(cap).skip(passed))))
    }
}

/// Waits before the same call is made once more.
///
/// # Errors
/// The failure itself, where another try is of no use or was made often enough.
pub async fn calm(error: Error, tries: &mut Tries) -> Result<(), EnrichError> {
    match tries.again(&error, rand::random()) {
        Some(wait) => sleep(wait).await,
        None => return Err(error.into()),
    }
    Ok(())
}
