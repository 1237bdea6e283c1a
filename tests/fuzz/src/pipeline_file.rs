//! Any text is a pipeline that works, or a list of problems. An input is a pipeline file and, behind a
//! line of five equal signs, a file to load with it.

use rowproof_core::pipeline::{KeyPattern, Pipeline};
use rowproof_core::pipeline_file;

use super::csv_decode::same_however_cut;
use super::reading::{Chunks, Cuts, Feed};

const BORDER: &str = "\n=====\n";

/// See the module.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, file) = text.split_once(BORDER).unwrap_or((&text, "a,b\n1,x\n"));
    let base = |name: &str| match name {
        "base.toml" => Ok("version = 1\n[columns]\na = \"int64\"\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let env = |name: &str| (name == "STAGE").then(|| "prod".to_owned());
    match pipeline_file::parse("feed.toml", text, &base, &env) {
        Ok(parsed) => {
            parsed.warnings.iter().for_each(|problem| is_fit_to_print(&problem.to_string()));
            works(parsed.pipeline, file.as_bytes());
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "a refusal says why");
            let lines = text.split('\n').count();
            for problem in &problems.0 {
                assert!((1..=lines.max(4)).contains(&problem.line), "{problem}");
                is_fit_to_print(&problem.to_string());
            }
        }
    }
}

fn is_fit_to_print(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?} reaches terminals");
}

fn works(pipeline: Pipeline, file: &[u8]) {
    let pattern = KeyPattern::compile(&pipeline.source.pattern).expect("it was checked");
    drop(pattern.captures("incoming/acme/orders_20261123.csv"));
    let again = Pipeline::from_json(&pipeline.to_json()).expect("its own form is read back");
    assert_eq!((&again, again.sha256()), (&pipeline, pipeline.sha256()));
    if pipeline.source.encoding != "utf-8" {
        return;
    }
    let one = Cuts { block: 5, chunks: Chunks::Chain { bytes: 9, records: 2 } };
    let ranges = Cuts { block: 9, chunks: Chunks::Ranges { piece: 4, bytes: 11, rows: 3 } };
    same_however_cut(&Feed::new(pipeline), file, &[one, ranges]);
}
