//! A group is written to the log and shown, or refused as a whole.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::group::Group;
use super::{FROZEN_MAX, Writer, chain};
use crate::engine::Sequence;
use crate::entry::Identity;
use crate::file;
use crate::index::batch::{Batch, Packer};
use crate::index::disk::Disk;
use crate::index::hash::IdentityKey;
use crate::index::log_file::{self, LogFile};
use crate::index::upkeep;

/// How long appending waits for a frozen live set to become a segment before it refuses: longer than any seal takes on a disk that works.
const SEAL_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often a log that couldn't be written is tried while nothing comes: each try may leave a file behind, until a segment is made.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(2);

impl Writer {
    /// Keeps a group, or says why it was refused.
    pub(super) fn keep(&mut self, group: Group) -> Result<Sequence, String> {
        if let Some(reason) = &group.unsure {
            self.refuse(reason);
            return Err(reason.clone());
        }
        let (batch, identities) = group.finish();
        let is_empty = batch.entries.is_empty()
            && batch.checkpoints.is_empty()
            && batch.repeats.is_empty()
            && batch.forgotten.is_empty();
        if is_empty {
            return Ok(Sequence(self.sequence));
        }
        self.wait_for_seal()?;
        self.write(batch, identities)
    }

    /// Finds out by itself that the log can be written again: whoever would send something may be waiting until we are ready.
    pub(super) fn try_again(&mut self) {
        if self.failed.is_some_and(|failed| failed.elapsed() >= TRY_AGAIN_EVERY) {
            // A group with nothing in it. Why it failed stands in `refusing`, like before.
            let _same = self.write(Batch::default(), Vec::new());
        }
    }

    fn write(&mut self, mut batch: Batch, identities: Vec<(Identity, IdentityKey)>) -> Result<Sequence, String> {
        batch.number = self.group + 1;
        let mut packer = self.packer.take().map_or_else(Packer::new, Ok);
        let written = match &mut packer {
            Ok(packer) => packer.pack(&batch).map_err(|error| error.to_string()).and_then(|payload| self.log(payload)),
            Err(error) => Err(error.to_string()),
        };
        self.packer = packer.ok();
        if let Err(reason) = written {
            if let Some(log) = self.log.take() {
                self.cut = Some(log.abandon());
            }
            self.refuse(&reason);
            self.failed = Some(Instant::now());
            return Err(reason);
        }
        self.failed = None;
        let mut condition = self.shared.condition.lock();
        if condition.refusing.take().is_some() {
            tracing::info!("entries are taken again");
        }
        let took = condition.last_fsync.unwrap_or_default();
        condition.pace.kept(batch.entries.len() as u64, took);
        condition.writes.observe(took);
        for held in &batch.entries {
            condition.kept[held.entry.kind() as usize] += 1;
        }
        drop(condition);
        self.apply(batch, Some(identities));
        Ok(Sequence(self.sequence))
    }

    fn log(&mut self, payload: &[u8]) -> Result<(), String> {
        let began = Instant::now();
        if let Some(disk) = Disk::of(&self.shared.config.path) {
            if disk.missing() > 0 && !self.shared.is_freeing.swap(true, Ordering::Relaxed) {
                let _gone = self.upkeep.send(upkeep::Job::FreeDisk);
            }
            if let Some(refusal) = disk.refusal() {
                return Err(refusal);
            }
        }
        if self.log.is_none() {
            let (folder, durability) = (self.shared.config.log_folder(), self.shared.config.durability);
            // A number is tried once: what a failed sync left of a file nobody knows.
            let number = self.next_log;
            self.next_log += 1;
            let created = LogFile::create(&folder, number, self.cut, durability).map_err(|error| {
                // Nothing was acknowledged in it. Where it can't be removed now, it goes with the next segment.
                if file::remove(&log_file::path(&folder, number)).is_err() {
                    self.logs.push(number);
                }
                chain(&error)
            })?;
            self.cut = None;
            self.logs.push(created.number());
            self.log = Some(created);
        }
        let log = self.log.as_mut().ok_or("there is no log file")?;
        log.append(payload).map_err(|error| format!("the log can't be written: {error}"))?;
        self.shared.condition.lock().last_fsync = Some(began.elapsed());
        Ok(())
    }

    /// Back-pressure: a live set more would take more memory than the limit allows.
    fn wait_for_seal(&self) -> Result<(), String> {
        let began = Instant::now();
        let mut sealing = self.shared.sealing.lock();
        while self.shared.look().frozen.len() > FROZEN_MAX {
            if began.elapsed() >= SEAL_WAIT_MAX {
                let why = self.shared.condition.lock().not_sealing.clone();
                let reason = why.unwrap_or_else(|| "the disk doesn't keep up with what comes in".to_owned());
                self.refuse(&reason);
                return Err(reason);
            }
            self.shared.sealed.wait_for(&mut sealing, Duration::from_millis(100));
        }
        Ok(())
    }

    fn refuse(&self, reason: &str) {
        let mut condition = self.shared.condition.lock();
        if condition.refusing.is_none() {
            tracing::error!("entries are refused until this is mended: {reason}");
        }
        condition.refusing = Some(reason.to_owned());
    }
}
