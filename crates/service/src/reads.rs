//! The way to the store for reads that may block: on threads for blocking work, so many at once, and so many waiting
//! for one of these; who comes then is refused at once.

use crate::metrics::Metrics;
use model::{Error, ErrorKind, Result, Store};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Reads {
    pub store: Arc<dyn Store>,
    running: Arc<Semaphore>,
    /// Places for reads that run or wait.
    places: Arc<Semaphore>,
    metrics: Metrics,
}

impl Reads {
    /// So many at once, and so many that wait.
    pub fn new(store: Arc<dyn Store>, running: usize, waiting: usize, metrics: Metrics) -> Reads {
        let places = Arc::new(Semaphore::new(running + waiting));
        let running = Arc::new(Semaphore::new(running));
        Reads { store, running, places, metrics }
    }

    /// Does blocking work with the store. The work goes on when the caller goes away, and keeps its place till its end.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permits = self.permits().await?;
        let store = self.store.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            work(&*store)
        });
        work.await.map_err(Error::internal)?
    }

    /// A place to work at: keep both for as long as the work takes.
    pub async fn permits(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.metrics.refused_reads.inc();
            return Err(Error::new(ErrorKind::TooMany, "too many reads are waiting"));
        };
        self.metrics.reads.inc();
        let running = self.running.clone().acquire_owned().await.map_err(Error::internal)?;
        Ok((place, running))
    }
}
