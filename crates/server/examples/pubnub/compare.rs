//! What two doors do with the same, side by side.

use crate::{Rounds, Target, fresh, get, in_path, payload};
use anyhow::Result;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

pub async fn fetch(target: &Target, channels: usize, bytes: usize, rounds: &Rounds) -> Result<()> {
    let mut connection = target.connect().await?;
    // Channels of its own for each door: a page keeps its bytes for the door that asked first.
    let mut filled = Vec::new();
    for prefix in [fresh("native"), fresh("pubnub")] {
        let names: Vec<String> = (0..channels).map(|number| format!("{prefix}-{number}")).collect();
        for name in &names {
            target.fill(&mut connection, name, 100, bytes).await?;
        }
        filled.push(names);
    }
    let ours = |name: &String| target.native("GET", &format!("channels/{name}/messages?limit=100"), "");
    let fields = "max=100&include_uuid=true&include_message_type=true&uuid=load";
    let theirs = |name: &String| get(&format!("/v3/history/sub-key/{}/channel/{name}?{fields}", target.keys));
    let requests = [filled[0].iter().map(ours).collect(), filled[1].iter().map(theirs).collect()];
    compare(target, rounds, requests, ["native page of 100", "v3 fetch of 100"]).await
}

pub async fn publish(target: &Target, channels: usize, bytes: usize, rounds: &Rounds) -> Result<()> {
    let (prefix, payload) = (fresh("publish"), payload(bytes));
    let names: Vec<String> = (0..channels).map(|number| format!("{prefix}-{number}")).collect();
    let body = format!("{{\"payload\":{payload},\"author\":\"load\"}}");
    let ours = |name: &String| target.native("POST", &format!("channels/{name}/messages"), &body);
    let theirs = |name: &String| target.publish(name, &in_path(&payload));
    let requests = [names.iter().map(ours).collect(), names.iter().map(theirs).collect()];
    compare(target, rounds, requests, ["native publish", "publish by GET"]).await
}

/// Sends requests of both kinds in turn, round by round, and tells the rate of each and what the second is to the first.
async fn compare(target: &Target, rounds: &Rounds, requests: [Vec<String>; 2], names: [&str; 2]) -> Result<()> {
    let requests = requests.map(Arc::new);
    // One round of each to warm up.
    let mut rates = [0.0, 0.0];
    for round in 0..=rounds.rounds {
        for (rate, requests) in rates.iter_mut().zip(&requests) {
            let found = answered(target, requests, rounds.connections, rounds.time()).await?;
            if round > 0 {
                *rate += found / rounds.rounds as f64;
            }
        }
    }
    for (name, rate) in names.iter().zip(rates) {
        println!("{name}: {rate:.0}/s over {} connections", rounds.connections);
    }
    println!("{} against {}: {:.2}", names[1], names[0], rates[1] / rates[0]);
    Ok(())
}

/// Answers in a second, each connection asking again as soon as it was answered.
async fn answered(target: &Target, requests: &Arc<Vec<String>>, connections: usize, time: Duration) -> Result<f64> {
    let mut working = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(target.connect().await?);
    }
    let began = Instant::now();
    for (number, mut connection) in open.into_iter().enumerate() {
        let requests = requests.clone();
        working.spawn(async move {
            let mut count = 0_u64;
            for request in requests.iter().cycle().skip(number) {
                if began.elapsed() >= time {
                    break;
                }
                connection.ask(request).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(taken) = working.join_next().await {
        count += taken??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
