//! A lease kept alive while its work goes on, also during slow bodies and slow receivers.

use crate::store::{Lease, Leases, StoreError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a lease lasts without being renewed.
const TERM: Duration = Duration::from_secs(30);
/// Time between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Work stops this long before the lease ends, so that a successor never meets it.
const MARGIN: Duration = Duration::from_secs(5);

/// Takes the lease; `None` while somebody else holds it.
pub async fn take<S: Leases + ?Sized>(store: &S, name: &str, owner: &str) -> Result<Option<Lease>, StoreError> {
    store.acquire(name, owner, TERM).await
}

/// Does the work and renews the lease beside it. `None`: the lease was lost, and the work was dropped where it stood.
pub async fn during<S: Leases + ?Sized, T>(store: &S, lease: &Lease, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = keep(store, lease) => None,
    }
}

/// Renews until the lease is lost: given to somebody else, or not to be renewed in time.
async fn keep<S: Leases + ?Sized>(store: &S, lease: &Lease) {
    let mut renewed = Instant::now();
    let mut wait = RENEW_EVERY;
    loop {
        sleep(wait).await;
        match store.acquire(&lease.name, &lease.owner, TERM).await {
            Ok(Some(now)) if now.fence == lease.fence => (renewed, wait) = (Instant::now(), RENEW_EVERY),
            Ok(_) => return,
            Err(_) if renewed.elapsed() + MARGIN >= TERM => return,
            Err(_) => wait = Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Renews this often, then says no or breaks.
    struct Script {
        renewals: AtomicU32,
        broken: bool,
    }

    #[async_trait]
    impl Leases for Script {
        async fn acquire(&self, name: &str, owner: &str, _term: Duration) -> Result<Option<Lease>, StoreError> {
            let left = self.renewals.load(Ordering::SeqCst);
            if left == 0 {
                return if self.broken { Err(StoreError::Disk("full".to_owned())) } else { Ok(None) };
            }
            self.renewals.store(left - 1, Ordering::SeqCst);
            Ok(Some(lease(name, owner)))
        }

        async fn release(&self, _lease: &Lease) -> Result<(), StoreError> {
            Ok(())
        }

        async fn at_work(&self) -> Result<bool, StoreError> {
            Ok(true)
        }
    }

    fn lease(name: &str, owner: &str) -> Lease {
        Lease { name: name.to_owned(), owner: owner.to_owned(), fence: 7 }
    }

    async fn lost_after(renewals: u32, broken: bool) -> Duration {
        let store = Script { renewals: AtomicU32::new(renewals), broken };
        let begun = Instant::now();
        let work = std::future::pending::<()>();
        assert_eq!(during(&store, &lease("stream a", "me"), work).await, None);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn work_outlives_its_first_term_while_the_lease_is_renewed() {
        let store = Script { renewals: AtomicU32::new(100), broken: false };
        let work = sleep(Duration::from_secs(300));
        assert_eq!(during(&store, &lease("stream a", "me"), work).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_when_somebody_else_holds_the_lease() {
        assert_eq!(lost_after(3, false).await, Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_before_a_lease_that_cannot_be_renewed_is_over() {
        assert_eq!(lost_after(1, true).await, Duration::from_secs(10 + 25));
    }
}
