//! What `--report` has written.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::{Finished, scratch};

/// Where this test has it written.
pub fn path() -> PathBuf {
    scratch().join("report.json")
}

/// The report of a run that has ended.
pub fn read(finished: &Finished) -> Value {
    let text = fs::read_to_string(path()).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["schema"], 1);
    assert_eq!(report["status"], finished.status);
    let files = fs::read_dir(scratch()).expect("its folder");
    let mut names = files.map(|file| file.expect("a file").file_name());
    assert!(names.all(|name| !name.to_string_lossy().starts_with('.')));
    report
}

/// What it says in several lines.
pub fn strings(value: &Value) -> Vec<&str> {
    let lines = value.as_array().expect("lines").iter();
    lines.map(|line| line.as_str().expect("a line")).collect()
}
