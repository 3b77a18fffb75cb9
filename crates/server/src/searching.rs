//! The search index in the data folder, if an app wants one, and its numbers as metrics.

use crate::numbers::{self, Numbers};
use model::Search;
use prometheus_client::registry::Registry;
use search::Index;
use std::{path::Path, sync::Arc};

/// Where it is in a data folder.
const FOLDER: &str = "search";

/// The index of a data folder. When no app wants one, what there is of it goes.
pub fn open(data: &Path, settings: &search::Settings) -> model::Result<Option<Arc<Index>>> {
    let folder = data.join(FOLDER);
    if settings.apps.is_empty() {
        return Index::remove(&folder).map(|()| None);
    }
    Index::open(&folder, settings.clone()).map(Arc::new).map(Some)
}

/// Removes the index of a data folder that nobody uses: a start makes it again, of all that is there then.
pub fn remove(data: &Path) -> model::Result<()> {
    Index::remove(&data.join(FOLDER))
}

/// The index as the service takes it.
pub fn capability(index: Option<&Arc<Index>>) -> Option<Arc<dyn Search>> {
    index.map(|index| index.clone() as Arc<dyn Search>)
}

/// Shows its numbers.
pub fn register_metrics(index: &Arc<Index>, registry: &mut Registry) {
    let index = index.clone();
    numbers::register(registry, move || numbers(&index));
}

/// What there is to tell of it.
fn numbers(index: &Index) -> Numbers {
    let status = index.status();
    let counters = vec![
        ("search_rebuilds", "How often the search index was made again", status.rebuilds),
        ("search_failures", "What failed in the search index and was tried again", status.failures),
    ];
    let gauges = vec![
        ("search_ready", "Whether messages can be searched: 0 while the index is made", u64::from(status.ready)),
        ("search_documents", "Messages in the search index", status.documents),
        ("search_bytes", "Bytes of the search index", status.bytes),
        ("search_indexed_ms", "Unix time up to which messages are indexed", status.indexed.unix_ms()),
    ];
    Numbers { counters, gauges }
}
