//! One message: what is to be sent, with its exact bytes, and only to whom somebody confirmed.

use store::redrive::added::id_of;
use store::redrive::{Edits, Item, NotEdited, Obstacle, Plan, Redrive};
use store::{Place, StoreError};

use super::broker::{Broker, Outgoing};
use super::job::Job;

/// What is to be done with one message.
pub enum Prepared {
    /// It can be sent.
    Ready(Box<Ready>),
    /// It can't be, and why.
    Refused(String),
    /// That can't be told now, and why.
    NotYet(String),
}

/// One message that can be sent.
pub struct Ready {
    /// Which of the redrive.
    pub number: usize,
    /// The group that is to process it.
    pub group: Option<String>,
    /// What is sent.
    pub outgoing: Outgoing,
}

/// A name that stands where a header's own can't be read.
const UNREADABLE: char = '\u{fffd}';

/// Plans one message, and sees to its bytes.
pub async fn prepare(job: &Job<'_>, broker: &dyn Broker, number: usize) -> Result<Prepared, StoreError> {
    let redrive = job.redrive;
    let letter = &redrive.messages[number].letter;
    let Some(item) = job.planning().item_at(letter).await? else {
        return Ok(Prepared::Refused(Obstacle::Gone.to_string()));
    };
    if let Some(prepared) = unconfirmed(&item, redrive) {
        return Ok(prepared);
    }
    let plan = match item.outcome {
        Ok(plan) => plan,
        Err(obstacle) => return Ok(Prepared::Refused(obstacle.to_string())),
    };
    let drops_silently = job.setup.board.redaction().is_silent;
    let plan = if plan.is_redacted || drops_silently {
        if redrive.asked.edited.is_some() {
            return Ok(Prepared::Refused(NotEdited::HasGaps.to_string()));
        }
        match exact(broker, plan, drops_silently).await {
            Ok(plan) => plan,
            Err(prepared) => return Ok(prepared),
        }
    } else {
        plan
    };
    let plan = match &redrive.asked.edited {
        None => plan,
        Some(sha256) => match edited(job, plan, sha256).await? {
            Ok(plan) => plan,
            Err(why) => return Ok(Prepared::Refused(why.to_owned())),
        },
    };
    // The board knows those partitions only that somebody leads: a key must not go elsewhere because a broker is down.
    let plan = match broker.partitions(plan.topic.clone()).await {
        Ok(partitions) => plan.among(partitions),
        Err(why) => return Ok(Prepared::NotYet(why)),
    };
    if plan.headers.iter().any(|header| header.name.contains(UNREADABLE)) {
        return Ok(Prepared::Refused(
            "a header's name is no UTF-8 text, so that it can't be sent as it was".to_owned(),
        ));
    }
    let Plan { topic, partition, key, value, mut headers, group, .. } = plan;
    headers.push(id_of(&redrive.id, number));
    let outgoing = Outgoing { topic, partition, key, value, headers };
    Ok(Prepared::Ready(Box::new(Ready { number, group, outgoing })))
}

/// With the value that somebody edited, where it is kept as it was; else why it can't be sent.
async fn edited(job: &Job<'_>, plan: Plan, sha256: &str) -> Result<Result<Plan, &'static str>, StoreError> {
    Ok(match Edits::beside(&job.setup.journal).get(&job.redrive.id).await {
        Ok(Some(edit)) if edit.sha256() == *sha256 => Ok(plan.edited(&edit)),
        Ok(Some(_)) | Err(StoreError::Damaged { .. }) => Err("its edited value was damaged: edit it once more"),
        Ok(None) => Err("its edited value isn't kept any more: it went with the dead letter"),
        Err(other) => return Err(other),
    })
}

/// What keeps a message back that others would get again; `None` where nobody does, or somebody confirmed it.
fn unconfirmed(item: &Item, redrive: &Redrive) -> Option<Prepared> {
    if item.again_is_unknown() && !redrive.asked.again_unknown {
        return Some(Prepared::NotYet("what consumer groups have committed isn't known yet".to_owned()));
    }
    let other = item.again.iter().flatten().find(|group| !redrive.asked.again.contains(group))?;
    Some(Prepared::Refused(format!("group `{other}` would get it again, and nobody confirmed that")))
}

/// With the bytes that the broker has, where that is still the same record.
async fn exact(broker: &dyn Broker, plan: Plan, drops_silently: bool) -> Result<Plan, Prepared> {
    let Place::Offset { partition, offset } = plan.bytes_at.place else {
        return Err(Prepared::Refused(Obstacle::NotKafka.to_string()));
    };
    let topic = plan.bytes_at.channel.to_string();
    match broker.fetch(topic, partition, offset).await {
        Err(why) => Err(Prepared::NotYet(why)),
        // A topic that was made again has another record there, of another time.
        Ok(Some(raw)) if raw.timestamp == plan.bytes_time && raw.problem.is_none() => {
            Ok(plan.with_bytes(raw.key, raw.body, &raw.headers))
        }
        Ok(_) if drops_silently && !plan.is_redacted => Err(Prepared::Refused(
            "a rule of [[redact]] may have taken something out of it, and the broker doesn't hold it any more"
                .to_owned(),
        )),
        Ok(_) => Err(Prepared::Refused(
            "something was taken out of it before it was kept, and the broker doesn't hold it any more".to_owned(),
        )),
    }
}
