//! Load and plan a project, cold and warm: a process of its own each time.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use crate::generator;
use crate::median;
use crate::siding;

pub(crate) fn measure(folder: &Path, models: usize) {
    generator::write(folder, models);
    let arguments = ["plan", "--execution-time", "2024-01-03", "--format", "json"];
    let built = Command::new(siding())
        .args(arguments)
        .arg("--auto-apply")
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the binary starts");
    assert!(built.success(), "the project can be built");
    let cold = [&arguments[..], &["--no-cache"]].concat();
    let goals = "0.2 ms a model; 60 MiB at 1,000, 100 at 5,000";
    report(folder, models, "no changes, cold", &cold, &|_| {}, goals);
    let warm = "0.15 s at 5,000";
    report(
        folder,
        models,
        "no changes, warm",
        &arguments,
        &|_| {},
        warm,
    );
    // Another edit each time, of which nothing is remembered.
    let edit = |run: usize| {
        let file = folder.join("models/m0.sql");
        let text = std::fs::read_to_string(&file).expect("the model can be read");
        let edited = text.replace(
            &format!("i * {} AS amount", if run == 0 { 0 } else { run + 1 }),
            &format!("i * {} AS amount", run + 2),
        );
        assert_ne!(edited, text, "the model is edited");
        std::fs::write(&file, edited).expect("the model can be written");
    };
    report(
        folder,
        models,
        "one model edited, warm",
        &arguments,
        &edit,
        "none",
    );
}

/// Measures seven processes, each after what `before` does.
fn report(
    folder: &Path,
    models: usize,
    how: &str,
    arguments: &[&str],
    before: &dyn Fn(usize),
    goals: &str,
) {
    let mut seconds = Vec::new();
    let mut memory = Vec::new();
    for run in 0..7 {
        before(run);
        let (cpu, peak) = cpu_and_memory(folder, arguments);
        seconds.push(cpu);
        memory.push(peak);
    }
    println!(
        "load + plan, {models} models, {how}: {:.3} s of CPU, {:.0} MiB at the peak (goals: {goals})",
        median(seconds),
        median(memory)
    );
}

/// CPU seconds of one process, and the most memory that it had, in MiB.
fn cpu_and_memory(folder: &Path, arguments: &[&str]) -> (f64, f64) {
    // The shell's own `time` counts the CPU of its child exactly.
    let script = "TIMEFORMAT='%U %S'; time \"$@\" >/dev/null 2>/dev/null";
    let child = Command::new("bash")
        .args(["-c", script, "bench"])
        .arg(siding())
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let shell = child.id();
    let watching = std::thread::spawn(move || peak_of_child(shell));
    let output = child.wait_with_output().expect("bash ends");
    assert!(output.status.success(), "the plan succeeds");
    let text = String::from_utf8(output.stderr).expect("`time` prints text");
    let cpu = text
        .split_whitespace()
        .map(|number| number.parse::<f64>().expect("`time` prints numbers"))
        .sum();
    (cpu, watching.join().expect("the watcher ends"))
}

/// Highest `VmHWM` seen of the shell's child, in MiB: the kernel's own high-water mark, read until the child is gone.
fn peak_of_child(shell: u32) -> f64 {
    let mut peak = 0.0_f64;
    let children = format!("/proc/{shell}/task/{shell}/children");
    while let Ok(text) = std::fs::read_to_string(&children) {
        for child in text.split_whitespace() {
            let status =
                std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| {
                line.trim()
                    .trim_end_matches(" kB")
                    .trim()
                    .parse::<f64>()
                    .ok()
            });
            peak = peak.max(kilobytes.unwrap_or(0.0) / 1024.0);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    peak
}
