//! Who the members of a group are, and how evenly the work is shared out.

use store::groups::GroupStatus;

use crate::wording;

/// How many members one page shows.
const ROWS_MAX: usize = 200;

/// From which share of a group's lag on one partition is called out: of many, the one to look at.
const SKEW_SHARE: u64 = 50;

/// One member, as it is shown.
pub struct MemberRow {
    pub client_id: String,
    pub host: String,
    pub id: String,
    pub owned: String,
    pub lag: String,
}

/// The members, those with the most lag first.
pub fn rows(status: &GroupStatus) -> Vec<MemberRow> {
    let Some(members) = &status.members else { return Vec::new() };
    let mut loads: Vec<(u64, u64, usize)> = (0..members.len())
        .map(|number| {
            let owned = || status.partitions.iter().filter(|partition| partition.owner == Some(number));
            (owned().filter_map(|partition| partition.lag).sum(), owned().count() as u64, number)
        })
        .collect();
    loads.sort_unstable_by(|one, other| other.cmp(one));
    let row = |(lag, owned, number): &(u64, u64, usize)| MemberRow {
        client_id: members[*number].client_id.clone(),
        host: members[*number].host.trim_start_matches('/').to_owned(),
        id: members[*number].id.clone(),
        owned: wording::count(*owned),
        lag: wording::count(*lag),
    };
    loads.iter().take(ROWS_MAX).map(row).collect()
}

/// How unevenly lag and work are shared out, where they are.
pub fn skew(status: &GroupStatus) -> Vec<String> {
    let mut said = Vec::new();
    let behind: Vec<_> = status.partitions.iter().filter(|partition| partition.lag > Some(0)).collect();
    let worst = status.partitions.iter().max_by_key(|partition| partition.lag);
    if let (Some(worst), Some(whole)) = (worst, status.lag())
        && let Some(lag) = worst.lag
        && status.partitions.len() > 1
        && whole > 0
        && lag.saturating_mul(100) >= whole.saturating_mul(SKEW_SHARE)
    {
        let of_all = if behind.len() == 1 { "all".to_owned() } else { wording::share(lag, whole) };
        said.push(format!("{of_all} of it on {} p{}", worst.topic, worst.partition));
    }
    let Some(members) = &status.members else { return said };
    let owned = |number: usize| status.partitions.iter().filter(|partition| partition.owner == Some(number)).count();
    let (fewest, most) = ((0..members.len()).map(owned).min(), (0..members.len()).map(owned).max());
    if let (Some(fewest), Some(most)) = (fewest, most)
        && most > fewest + 1
    {
        said.push(format!("members own {fewest} to {most} partitions"));
    }
    said
}
