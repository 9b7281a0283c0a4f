//! Which topics or streams are meant: globs, with `!` for exclusions.

/// Which topics or streams are meant.
#[derive(Clone, Debug)]
pub struct Selection {
    /// What the broker's own channels begin with: left out unless a pattern begins with it too.
    internal: &'static str,
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Selection {
    /// From patterns such as `order.*` and `!*.internal`; `*` stands for any text, `?` for one character.
    /// Exclusions win wherever they stand. Where there are only exclusions, everything else is meant.
    /// Channels that begin with `internal` are the broker's own.
    pub fn new(internal: &'static str, patterns: &[String]) -> Selection {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(pattern) => unwanted.push(pattern.to_owned()),
                None => wanted.push(pattern.clone()),
            }
        }
        if wanted.is_empty() {
            wanted.push("*".to_owned());
        }
        Selection { internal, wanted, unwanted }
    }

    /// The channels that are meant by their very names.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let names = self.wanted.iter().map(String::as_str).filter(|name| !name.contains(['*', '?']));
        names.filter(|name| self.takes(name))
    }

    /// Whether this channel is meant.
    pub fn takes(&self, channel: &str) -> bool {
        let is_internal = channel.starts_with(self.internal);
        let asked_for = |pattern: &str| !is_internal || pattern.starts_with(self.internal);
        self.wanted.iter().any(|pattern| asked_for(pattern) && matches(pattern, channel))
            && !self.unwanted.iter().any(|pattern| matches(pattern, channel))
    }
}

/// Whether a glob holds for a name. Runs in the product of their lengths at worst, whatever the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut read) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None; // where the latest `*` stands, and how much of the name it has taken
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                last_star = Some((at, read));
                at += 1;
            }
            Some('?') => {
                at += 1;
                read += 1;
            }
            Some(letter) if *letter == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match last_star {
                Some((star, taken)) => {
                    last_star = Some((star, taken + 1));
                    at = star + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], topic: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Selection::new("__", &patterns).takes(topic)
    }

    #[test]
    fn globs_choose_topics() {
        assert!(check(&["*"], "order.placed"));
        assert!(check(&["order.*"], "order.placed"));
        assert!(check(&["*.dlt"], "order.placed.dlt"));
        assert!(check(&["order.?laced"], "order.placed"));
        assert!(check(&["*a*b*"], "xxaxxbxx"));
        assert!(!check(&["order.*"], "payment.taken"));
        assert!(!check(&["order"], "order.placed"));
        assert!(!check(&["*.dlt"], "order.dlt.x"));
        assert!(!check(&["?"], ""));
    }

    #[test]
    fn exclusions_win_wherever_they_stand() {
        assert!(!check(&["*", "!internal.*"], "internal.jobs"));
        assert!(!check(&["!internal.*", "*"], "internal.jobs"));
        assert!(check(&["!internal.*"], "orders"));
    }

    #[test]
    fn internal_topics_are_left_out_unless_asked_for() {
        assert!(!check(&["*"], "__consumer_offsets"));
        assert!(check(&["*", "__consumer_offsets"], "__consumer_offsets"));
        assert!(check(&["__*"], "__transaction_state"));
    }

    #[test]
    fn what_is_meant_by_its_name_is_told() {
        let patterns = ["a.*", "b", "c", "!c", "__d"].map(str::to_owned);
        assert_eq!(Selection::new("__", &patterns).named().collect::<Vec<_>>(), ["b", "__d"]);
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        assert!(!check(&["*a*a*a*a*a*a*a*a*a*a*a*a*b"], &"a".repeat(249)));
    }
}
