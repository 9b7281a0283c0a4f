//! What the operating system says of a process: CPU time and memory.

use std::fs;
use std::time::Duration;

use crate::rig::waiting::until;

/// Background work (sealing, merging) belongs to what was sent: it is over when the server has been idle this long.
const IDLE: Duration = Duration::from_secs(2);

/// CPU seconds that a process has used: fields 14 and 15 of /proc/PID/stat (proc(5)), in ticks of 10 ms.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold spaces; what follows it does not.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// The same once it has done what it still had to do.
pub fn settled_cpu_seconds(pid: u32) -> f64 {
    let mut last = cpu_seconds(pid);
    until("the server is idle", Duration::from_secs(120), || {
        std::thread::sleep(IDLE);
        let now = cpu_seconds(pid);
        let idle = now - last < 0.1;
        last = now;
        idle.then_some(())
    });
    last
}

/// CPU seconds that this process needs for something.
pub fn own_cpu_seconds(work: impl FnOnce()) -> f64 {
    let before = cpu_seconds(std::process::id());
    work();
    (cpu_seconds(std::process::id()) - before).max(0.01)
}

/// Mebibytes of memory as /proc/PID/status counts them: `VmRSS` now, `VmHWM` at the most.
pub fn memory_mib(pid: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let told = status.lines().find(|told| told.starts_with(line)).unwrap();
    told.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}
