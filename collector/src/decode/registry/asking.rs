//! The task that asks the registry, and asks again while it is down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use store::record::SchemaId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::cache::Answer;
use super::client::Failed;
use super::config::Api;
use super::{QUEUE_MAX, Shared};
use crate::decode::contract::Contract;
use crate::source::notice::Notice;

/// How many schemas are asked for at once: enough for a start, few enough to be no burden.
const AT_ONCE: usize = 4;

/// How many ids are taken from the queue together.
const ROUND_MAX: usize = 64;

/// The shortest and the longest time between two tries while the registry is down.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Asks for schemas.
pub struct Asking {
    api: Api,
    shared: Arc<Shared>,
    notice: Notice,
    /// What is to be asked for when the registry answers again. No longer than the queue: what is in here is not asked for a second time.
    left: VecDeque<SchemaId>,
    back_off: Duration,
}

impl Asking {
    pub fn new(api: Api, shared: Arc<Shared>, notice: Notice) -> Asking {
        Asking { api, shared, notice, left: VecDeque::new(), back_off: BACK_OFF_MIN }
    }

    /// Asks until it is told to stop.
    pub async fn run(self, queue: mpsc::Receiver<SchemaId>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.ask(queue) => {}
        }
    }

    async fn ask(mut self, mut queue: mpsc::Receiver<SchemaId>) {
        // Before anybody needs a schema, so that a wrong password is told at the start.
        let mut is_well = self.is_well().await;
        loop {
            let mut round = Vec::new();
            tokio::select! {
                () = tokio::time::sleep(self.back_off), if !is_well => {
                    self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
                    is_well = self.is_well().await;
                }
                taken = queue.recv_many(&mut round, ROUND_MAX), if self.left.len() < QUEUE_MAX => {
                    if taken == 0 {
                        return;
                    }
                    self.left.extend(round);
                }
            }
            if is_well {
                is_well = self.ask_left().await;
            }
        }
    }

    /// Whether the registry answers.
    async fn is_well(&mut self) -> bool {
        match self.api.probe().await {
            Ok(()) => {
                self.up();
                true
            }
            Err(failed) => {
                self.down(failed);
                false
            }
        }
    }

    /// Asks for all that is left. Returns whether the registry still answers.
    async fn ask_left(&mut self) -> bool {
        while !self.left.is_empty() {
            let round: Vec<SchemaId> = self.left.drain(..self.left.len().min(AT_ONCE)).collect();
            let api = &self.api;
            let asked = stream::iter(round).map(|id| async move {
                let answer = fetched(api, &id).await;
                (id, answer)
            });
            let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
            let mut failure = None;
            for (id, answer) in answers {
                match answer {
                    Ok(answer) => self.settle(id, answer),
                    Err(failed) => {
                        self.left.push_front(id);
                        failure = Some(failed);
                    }
                }
            }
            if let Some(failed) = failure {
                self.down(failed);
                return false;
            }
        }
        true
    }

    fn settle(&self, id: SchemaId, answer: Answer) {
        self.notice.kept(u64::from(matches!(answer, Answer::Known(_))));
        self.shared.cache.lock().settle(id, answer, Instant::now());
        self.shared.answers.send_modify(|answers| *answers += 1);
    }

    fn up(&mut self) {
        self.back_off = BACK_OFF_MIN;
        self.notice.up();
        self.shared.cache.lock().set_down(None);
    }

    fn down(&self, failed: Failed) {
        let why = failed.to_string();
        self.notice.down(why.clone());
        self.shared.cache.lock().set_down(Some(why));
        self.shared.answers.send_modify(|answers| *answers += 1);
    }
}

/// Asks for one schema and compiles it. Fails only where the registry can't be asked; that it doesn't know the schema is an answer.
async fn fetched(api: &Api, id: &SchemaId) -> Result<Answer, Failed> {
    let document = match api.document(id).await {
        Ok(document) => document,
        Err(Failed::Unknown(why)) => return Ok(Answer::Unknown(why)),
        Err(Failed::Unusable(why)) => return Ok(Answer::Unusable(why)),
        Err(failed @ Failed::Down(_)) => return Err(failed),
    };
    let id = id.clone();
    let compile = move || Contract::read(&id, &document);
    Ok(match tokio::task::spawn_blocking(compile).await {
        Ok(Ok(contract)) => Answer::Known(contract),
        Ok(Err(problem)) => Answer::Unusable(format!("can't be used: {problem}")),
        // Hostile schemas may find a fault in a compiler that is not ours: it must not end the task.
        Err(_) => Answer::Unusable("can't be used: compiling it failed by a fault, please report it".to_owned()),
    })
}
