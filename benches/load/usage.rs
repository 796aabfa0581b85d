//! What a process has used, as Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

/// The unit of times in `/proc/<pid>/stat`: a hundredth of a second (`USER_HZ`) on every platform that
/// matters here.
const TICK: Duration = Duration::from_millis(10);

/// Memory of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) resident_mib: f64,
    /// `VmHWM`: the most that it was since [`forget_peak`].
    pub(crate) peak_mib: f64,
}

/// Processor time of a process, its own and the system's for it, over all its threads.
pub(crate) fn processor_time(process_id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap();
    // The second field is the program's name in parentheses, which may hold spaces (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap());
    TICK * ticks.sum::<u32>()
}

pub(crate) fn memory(process_id: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    Memory { resident_mib: of("VmRSS"), peak_mib: of("VmHWM") }
}

/// Lets the peak begin anew (`clear_refs` in proc(5)).
pub(crate) fn forget_peak(process_id: u32) {
    fs::write(format!("/proc/{process_id}/clear_refs"), "5").unwrap();
}
