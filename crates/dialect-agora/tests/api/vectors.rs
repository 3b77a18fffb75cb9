//! The vectors of `protocols/agora-rtm.md` §7.3.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

/// What is shown, to whom, when; and what becomes of it.
#[derive(Deserialize)]
pub struct Vector {
    pub name: String,
    pub now: u64,
    pub path_app_id: String,
    pub app_certificate: String,
    pub headers: BTreeMap<String, String>,
    pub expect: Verdict,
}

#[derive(Deserialize)]
pub struct Verdict {
    pub verdict: String,
    pub uid: Option<String>,
}

/// All of them.
pub fn vectors() -> Vec<Vector> {
    let vectors = serde_json::from_str::<Vectors>(include_str!("../vectors/tokens.json"));
    let vectors = vectors.expect("the vectors are JSON").vectors;
    assert_eq!(vectors.len(), 51);
    vectors
}
