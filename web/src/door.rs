//! Who may come in: the people of `[[access]]`, their sessions, and the token that every form carries.
//!
//! Without `[[access]]` everybody who reaches the address is an operator; [`crate::start`] sees to it that only this machine does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use rand::RngCore;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::{Access, PublicUrl, Role, SecretError};

/// How long a login lasts: a working day.
const SESSION_LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// How many logins are remembered. Above that the oldest one ends: a team has tens, and memory stays bounded.
const SESSIONS_MAX: usize = 1_000;

/// How many wrong secrets are answered at once in [`TRIES_WINDOW`]; the answers to further wrong ones are held back for a second.
/// A typing person never gets there; with the cap on connections, guessing a random secret of eight letters takes decades.
const TRIES_MAX: u32 = 20;

/// The window of [`TRIES_MAX`].
const TRIES_WINDOW: Duration = Duration::from_secs(60);

/// The name of the session's cookie.
pub const SESSION_COOKIE: &str = "sillage_session";

/// Who may come in.
pub struct Door {
    people: Vec<Person>,
    sessions: Mutex<HashMap<String, Session>>,
    tries: Mutex<Tries>,
    key: [u8; 32],
    /// The address by which people reach us, where it is told.
    pub public_url: Option<PublicUrl>,
    /// Whether only this machine reaches us.
    pub loopback: bool,
}

struct Person {
    name: String,
    secret: String,
    role: Role,
}

struct Session {
    name: String,
    role: Role,
    since: Instant,
}

struct Tries {
    since: Instant,
    wrong: u32,
}

/// Somebody who came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// Their name in `[[access]]`; `None` where nobody has to say who they are.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// How they showed who they are.
    pub by: ShownBy,
}

/// How somebody showed who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShownBy {
    /// Nobody has to.
    Nothing,
    /// A session's cookie, which a browser sends by itself: forms must carry a token beside it.
    Cookie(String),
    /// A bearer token, which no browser sends by itself.
    Token,
}

/// Why a login was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginRefused {
    /// Nobody has this secret.
    Wrong,
    /// Nobody has this secret, and too many were tried lately.
    TooManyTries,
}

impl Door {
    /// For these people. Reads their secrets, so that a bad one is known before any port opens.
    pub fn new(
        access: &[Access],
        public_url: Option<PublicUrl>,
        loopback: bool,
    ) -> Result<Door, (String, SecretError)> {
        let mut people = Vec::new();
        for person in access {
            let secret = person.secret.reveal().map_err(|error| (person.name.clone(), error))?;
            people.push(Person { name: person.name.clone(), secret, role: person.role });
        }
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        Ok(Door {
            people,
            sessions: Mutex::default(),
            tries: Mutex::new(Tries { since: Instant::now(), wrong: 0 }),
            key,
            public_url,
            loopback,
        })
    }

    /// Whether people have to say who they are.
    pub fn is_locked(&self) -> bool {
        !self.people.is_empty()
    }

    /// Who somebody is, by the session or the bearer token they bring; `None` where they have to log in first.
    pub fn visitor(&self, session: Option<&str>, bearer: Option<&str>) -> Option<Visitor> {
        if !self.is_locked() {
            return Some(Visitor { name: None, role: Role::Operate, by: ShownBy::Nothing });
        }
        if let Some(token) = bearer {
            let person = self.person(token).ok()?;
            return Some(Visitor { name: Some(person.name.clone()), role: person.role, by: ShownBy::Token });
        }
        let id = session?;
        let sessions = self.sessions.lock();
        let session = sessions.get(id).filter(|session| session.since.elapsed() < SESSION_LASTS)?;
        Some(Visitor { name: Some(session.name.clone()), role: session.role, by: ShownBy::Cookie(id.to_owned()) })
    }

    /// Begins a session for whoever has this secret, and answers its id.
    pub fn log_in(&self, secret: &str) -> Result<String, LoginRefused> {
        let person = self.person(secret)?;
        let id = random_id();
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, session| session.since.elapsed() < SESSION_LASTS);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.since).map(|(id, _)| id.clone())
        {
            sessions.remove(&oldest);
        }
        let session = Session { name: person.name.clone(), role: person.role, since: Instant::now() };
        sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// Ends a session.
    pub fn log_out(&self, id: &str) {
        self.sessions.lock().remove(id);
    }

    /// Whose secret this is. Compares with everybody's, each in constant time, and counts wrong ones. A right one is always
    /// taken, so that somebody who guesses can't lock the others out.
    fn person(&self, secret: &str) -> Result<&Person, LoginRefused> {
        let sent = self.digest(&[b"secret", secret.as_bytes()]);
        let mut found = None;
        for person in &self.people {
            if bool::from(sent.ct_eq(&self.digest(&[b"secret", person.secret.as_bytes()]))) {
                found = Some(person);
            }
        }
        found.ok_or_else(|| {
            let mut tries = self.tries.lock();
            if tries.since.elapsed() >= TRIES_WINDOW {
                *tries = Tries { since: Instant::now(), wrong: 0 };
            }
            tries.wrong = tries.wrong.saturating_add(1);
            if tries.wrong > TRIES_MAX { LoginRefused::TooManyTries } else { LoginRefused::Wrong }
        })
    }

    /// How long a wrong secret's answer is held back: not at all for a typing error, a second once somebody guesses.
    pub fn hold_back(&self) -> Duration {
        let tries = self.tries.lock();
        let guessing = tries.wrong > TRIES_MAX && tries.since.elapsed() < TRIES_WINDOW;
        if guessing { Duration::from_secs(1) } else { Duration::ZERO }
    }

    /// A token for a form, for this visitor only. It differs each time, so that a compressed page doesn't give it away (BREACH).
    pub fn form_token(&self, visitor: Option<&Visitor>) -> String {
        let nonce = random_id();
        let proof = self.form_proof(visitor, &nonce);
        format!("{nonce}.{proof}")
    }

    /// Whether a form's token was made for this visitor.
    pub fn is_form_token(&self, visitor: Option<&Visitor>, token: &str) -> bool {
        let Some((nonce, proof)) = token.split_once('.') else { return false };
        bool::from(self.form_proof(visitor, nonce).as_bytes().ct_eq(proof.as_bytes()))
    }

    fn form_proof(&self, visitor: Option<&Visitor>, nonce: &str) -> String {
        let session = match visitor.map(|visitor| &visitor.by) {
            Some(ShownBy::Cookie(id)) => id.as_str(),
            Some(ShownBy::Nothing | ShownBy::Token) | None => "",
        };
        hex::encode(&self.digest(&[b"form", session.as_bytes(), nonce.as_bytes()])[..16])
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn random_id() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        let person = |name: &str, secret: &str, role| Access { name: name.into(), secret: secret.into(), role };
        let access = [person("ann", "ann's secret", Role::View), person("bo", "bo's secret!", Role::Operate)];
        Door::new(&access, None, false).unwrap()
    }

    #[test]
    fn a_session_is_its_owners_until_it_ends() {
        let door = door();
        let id = door.log_in("bo's secret!").unwrap();
        let visitor = door.visitor(Some(&id), None).unwrap();
        assert_eq!((visitor.name.as_deref(), visitor.role), (Some("bo"), Role::Operate));
        door.log_out(&id);
        assert_eq!(door.visitor(Some(&id), None), None);
        assert_eq!(door.visitor(None, None), None);
    }

    #[test]
    fn a_bearer_token_is_a_persons_secret() {
        assert_eq!(door().visitor(None, Some("ann's secret")).unwrap().role, Role::View);
        assert_eq!(door().visitor(None, Some("ann's secre")), None);
    }

    #[test]
    fn guessing_is_slowed_down_and_locks_nobody_out() {
        let door = door();
        for _ in 0..TRIES_MAX {
            assert_eq!(door.log_in("guess").unwrap_err(), LoginRefused::Wrong);
        }
        assert_eq!(door.hold_back(), Duration::ZERO);
        assert_eq!(door.log_in("guess").unwrap_err(), LoginRefused::TooManyTries);
        assert!(door.hold_back() > Duration::ZERO);
        assert!(door.log_in("bo's secret!").is_ok());
    }

    #[test]
    fn a_form_token_holds_for_its_session_only() {
        let door = door();
        let visitor = |id: String| door.visitor(Some(&id), None);
        let ann = visitor(door.log_in("ann's secret").unwrap());
        let bo = visitor(door.log_in("bo's secret!").unwrap());
        let token = door.form_token(ann.as_ref());
        assert_ne!(token, door.form_token(ann.as_ref()));
        assert!(door.is_form_token(ann.as_ref(), &token));
        for other in [bo.as_ref(), None] {
            assert!(!door.is_form_token(other, &token));
        }
        assert!(!door.is_form_token(ann.as_ref(), "nonsense"));
    }

    #[test]
    fn sessions_are_bounded() {
        let door = door();
        let first = door.log_in("bo's secret!").unwrap();
        for _ in 0..SESSIONS_MAX {
            door.log_in("bo's secret!").unwrap();
        }
        assert_eq!(door.sessions.lock().len(), SESSIONS_MAX);
        assert_eq!(door.visitor(Some(&first), None), None);
    }
}
