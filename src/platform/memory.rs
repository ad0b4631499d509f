//! How much memory the system can still provide. It is checked before large allocations, so that a
//! shortage ends in a message and not with the process being killed. Asking the allocator proves
//! nothing: with overcommit, Linux's default, and in containers it promises more than there is.
//! Known on Linux only; elsewhere nothing is refused.

use std::fs;
use std::path::Path;

/// Whether the system can provide this many bytes now, as far as it is known.
#[must_use]
pub fn has(bytes: u64) -> bool {
    available().is_none_or(|available| available >= bytes)
}

/// The minimum of what the machine, the control group and the limits of the process leave, in
/// bytes; `None` if nothing is known.
#[must_use]
pub fn available() -> Option<u64> {
    if cfg!(target_os = "linux") {
        available_under(Path::new("/"))
    } else {
        None
    }
}

fn available_under(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let process = address_space(&read("proc/self/limits"), &read("proc/self/status"));
    let groups = read("proc/self/cgroup");
    let groups = groups.lines().flat_map(|line| group(root, line));
    [in_machine(&read("proc/meminfo")), process]
        .into_iter()
        .flatten()
        .chain(groups)
        .min()
}

/// `/proc/meminfo`: memory available without swapping, and the free swap.
fn in_machine(meminfo: &str) -> Option<u64> {
    let available = kilobytes(meminfo, "MemAvailable:")?;
    Some(available + kilobytes(meminfo, "SwapFree:").unwrap_or(0))
}

/// The value in a line of `/proc/meminfo` or `/proc/self/status`, in bytes.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// What `RLIMIT_AS` (`ulimit -v`) leaves, from `/proc/self/limits` and `/proc/self/status`.
fn address_space(limits: &str, status: &str) -> Option<u64> {
    let key = "Max address space";
    let line = limits.lines().find_map(|line| line.strip_prefix(key))?;
    let most: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(most.saturating_sub(kilobytes(status, "VmSize:")?))
}

/// What the control group in a line of `/proc/self/cgroup` leaves: the limits of the group and of
/// all its parents. In a container its path may not exist; then only the topmost group does.
fn group(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (mount, names) = match controllers {
        "" => ("sys/fs/cgroup", ["memory.max", "memory.current"]),
        some if some.split(',').any(|name| name == "memory") => (
            "sys/fs/cgroup/memory",
            ["memory.limit_in_bytes", "memory.usage_in_bytes"],
        ),
        _ => return Vec::new(),
    };
    let mount = root.join(mount);
    let folder = mount.join(path.trim_start_matches('/'));
    let folders = folder.ancestors().take_while(|at| at.starts_with(&mount));
    let left = |at: &Path| {
        let read = |name: &str| fs::read_to_string(at.join(name));
        let [most, used] = names.map(read);
        let stat = read("memory.stat").unwrap_or_default();
        left_in_group(&most.ok()?, &used.ok()?, &stat)
    };
    folders.filter_map(left).collect()
}

/// A group's limit minus its usage. The file cache does not count as usage, because the system can
/// reclaim it. `None` without a limit (`max`; in version 1 a number near 2⁶³).
fn left_in_group(most: &str, used: &str, stat: &str) -> Option<u64> {
    const NO_LIMIT: u64 = 1 << 60;
    let most: u64 = most.trim().parse().ok()?;
    let used: u64 = used.trim().parse().ok()?;
    let entry = |key: &str| {
        let number = stat.lines().find_map(|line| line.strip_prefix(key));
        number.and_then(|number| number.trim().parse::<u64>().ok())
    };
    // Version 1 reports the group's own part without `total_`.
    let files = ["inactive_file ", "active_file "];
    let cache: u64 = files
        .iter()
        .filter_map(|key| entry(&format!("total_{key}")).or_else(|| entry(key)))
        .sum();
    (most < NO_LIMIT).then(|| most.saturating_sub(used.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    500000 kB\nSwapTotal:       20000 kB\nSwapFree:        10000 kB\n";
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \nMax cpu time              unlimited            unlimited            seconds   \nMax address space         2147483648           unlimited            bytes     \n";

    #[test]
    fn the_machine_is_read() {
        assert_eq!(in_machine(MEMINFO), Some(510_000 * 1024));
        assert_eq!(in_machine("MemAvailable: 7 kB\n"), Some(7 * 1024));
        for text in ["", "MemTotal: 8 kB\n", "MemAvailable: many kB\n"] {
            assert_eq!(in_machine(text), None, "{text}");
        }
    }

    #[test]
    fn the_process_limit_is_read() {
        let status = "Name:\tcamlens\nVmPeak:\t  200000 kB\nVmSize:\t  100000 kB\n";
        let left = 2_147_483_648 - 100_000 * 1024;
        assert_eq!(address_space(LIMITS, status), Some(left));
        let without = LIMITS.replace("2147483648", "unlimited ");
        assert_eq!(address_space(&without, status), None);
        assert_eq!(address_space(LIMITS, ""), None);
        assert_eq!(address_space(LIMITS, "VmSize: 9000000 kB\n"), Some(0));
    }

    #[test]
    fn a_group_has_its_limit_less_what_is_used_without_files() {
        let stat = "anon 600\ninactive_file 300\nactive_file 50\n";
        for (most, used, stat, left) in [
            ("1000\n", "900\n", stat, Some(450)),
            ("1000\n", "900\n", "", Some(100)),
            ("1000\n", "2000\n", "", Some(0)),
            ("max\n", "900\n", stat, None),
            ("9223372036854771712\n", "900\n", stat, None),
            (
                "1000",
                "900",
                "inactive_file 1\ntotal_inactive_file 80\n",
                Some(180),
            ),
            ("", "900", "", None),
        ] {
            assert_eq!(
                left_in_group(most, used, stat),
                left,
                "{most} {used} {stat}"
            );
        }
    }

    /// A folder with these files, which stands in for the root of the file system.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_counts() {
        let machine = ("proc/meminfo", MEMINFO);
        let two = ("proc/self/cgroup", "0::/user/camlens\n");
        let one = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/ab\n0::/\n");
        let status = ("proc/self/status", "VmSize:\t 2000000 kB\n");
        let v1 = "sys/fs/cgroup/memory";
        let (v1_most, v1_used) = (
            format!("{v1}/memory.limit_in_bytes"),
            format!("{v1}/memory.usage_in_bytes"),
        );
        for (what, files, expected) in [
            ("nothing", vec![], None),
            ("the machine", vec![machine], Some(510_000 * 1024)),
            (
                "its own group",
                vec![
                    machine,
                    two,
                    ("sys/fs/cgroup/user/camlens/memory.max", "300000000"),
                    ("sys/fs/cgroup/user/camlens/memory.current", "100000000"),
                ],
                Some(200_000_000),
            ),
            (
                "the group above",
                vec![
                    machine,
                    two,
                    ("sys/fs/cgroup/user/camlens/memory.max", "max"),
                    ("sys/fs/cgroup/user/camlens/memory.current", "1"),
                    ("sys/fs/cgroup/user/memory.max", "90000000"),
                    ("sys/fs/cgroup/user/memory.current", "80000000"),
                ],
                Some(10_000_000),
            ),
            (
                "a container's topmost group",
                vec![
                    machine,
                    two,
                    ("sys/fs/cgroup/memory.max", "7000000"),
                    ("sys/fs/cgroup/memory.current", "2000000"),
                ],
                Some(5_000_000),
            ),
            (
                "version 1",
                vec![machine, one, (&v1_most, "400000"), (&v1_used, "100000")],
                Some(300_000),
            ),
            (
                "ulimit -v",
                vec![machine, status, ("proc/self/limits", LIMITS)],
                Some(2_147_483_648 - 2_000_000 * 1024),
            ),
        ] {
            let root = system(&files);
            assert_eq!(available_under(root.path()), expected, "{what}");
        }
    }

    #[test]
    fn what_nobody_has_is_not_there() {
        assert!(has(0));
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1_000_000));
            assert!(!has(1 << 50), "a petabyte");
        } else {
            assert_eq!(available(), None);
        }
    }
}
