//! CPU and memory of a process, as Linux tells them. Benchmarks run on Linux only.

use std::fs;
use std::io;

/// User and system time of the process `pid` (`self` for this one) since its start, in seconds, to 10 ms.
pub fn process_cpu_s(pid: &str) -> io::Result<f64> {
    stat_cpu_s(&format!("/proc/{pid}/stat"))
}

/// CPU seconds of each of the process's threads that are alive, added up by the threads' names.
pub fn thread_cpu_s(pid: &str) -> io::Result<std::collections::BTreeMap<String, f64>> {
    let mut by_name = std::collections::BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?;
        *by_name.entry(name.trim().to_owned()).or_default() += stat_cpu_s(&task.join("stat").to_string_lossy())?;
    }
    Ok(by_name)
}

fn stat_cpu_s(path: &str) -> io::Result<f64> {
    let stat = fs::read_to_string(path)?;
    // The name in parentheses may hold anything; fields are counted after it: utime and stime are fields 14 and 15 of
    // proc(5), in ticks of 10 ms.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|f| f.parse::<u64>().ok());
    match (ticks(14), ticks(15)) {
        (Some(user), Some(system)) => Ok((user + system) as f64 / 100.0),
        _ => Err(io::Error::other("the stat file has no times")),
    }
}

/// Resident bytes of the process now.
pub fn resident_bytes(pid: &str) -> io::Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most resident bytes that the process has had.
pub fn peak_bytes(pid: &str) -> io::Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: &str, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|k| k.parse::<u64>().ok());
    kib.map(|k| k * 1024).ok_or_else(|| io::Error::other(format!("the status file has no {field}")))
}

/// CPU seconds that everything on the machine has used.
pub fn machine_cpu_s() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    // proc(5): user, nice, system, idle, iowait, irq, softirq, steal. What the host stole is nobody's.
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, nice, system, _, _, irq, softirq, ..] => Ok((user + nice + system + irq + softirq) as f64 / 100.0),
        _ => Err(io::Error::other("the stat file has no times")),
    }
}
