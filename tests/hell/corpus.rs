//! Every kept input of the fuzz targets, through the same checks.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::fuzz::TARGETS;

#[test]
fn every_kept_input_passes_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, check) in TARGETS {
        let folder = corpus.join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}")) {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            let passed = catch_unwind(AssertUnwindSafe(|| check(&data)));
            assert!(passed.is_ok(), "{} fails its target", path.display());
            inputs += 1;
        }
        assert!(inputs >= 10, "{target} has {inputs} inputs");
    }
}
