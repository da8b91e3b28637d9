//! `logystera partitions` where there is nothing that it could show or grow.

use std::process::Command;

#[test]
fn a_data_folder_has_no_partitions_to_grow() {
    let folder = tempfile::tempdir().unwrap();
    for (args, says) in [
        (["partitions", "grow", "4"].as_slice(), "signals can't grow to 4 partitions: a data folder has one"),
        (&["partitions", "grow", "4", "--topic", "detections"], "detections can't grow to 4 partitions"),
        (&["partitions", "status", "--json"], "nothing to show"),
    ] {
        let done =
            Command::new(env!("CARGO_BIN_EXE_logystera")).args(args).current_dir(folder.path()).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), done.stdout.len()), (Some(3), 0), "{err}");
        assert!(err.contains(says) && err.contains("--config FILE"), "{err}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}
