//! What every store promises, asked of both engines; and what only an engine with files can be asked.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../../tests/it/rig/folder.rs"]
mod folder; // looks for bytes in every file

mod contract {
    pub mod cases; // the same questions to every engine
    pub mod damage; // damaged, torn, foreign and newer files
    pub mod fault; // full, failing, slow and read-only disks
    pub mod flip; // every byte of a small store
    pub mod forget; // hidden at once, gone from every file, whatever fails meanwhile
    pub mod merged; // seals and merges while somebody asks
    pub mod model; // any order of appends, seals, restarts and forgets: the answers are those of `memory`
    pub mod place; // small disks, jumping clocks, other versions
    pub mod power_cut; // what a disk may leave of it at any moment
    pub mod restart; // what outlives the process, however it ends
    pub mod trouble; // what goes wrong behind the scenes
    pub mod upkeep; // retention, merges, counts of what is gone
}
