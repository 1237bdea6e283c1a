//! The pipeline file and the input files, checked before anything starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rowproof_core::pipeline::{self, KeyPattern, Parsed, Pipeline, Problems};
use rowproof_io::settings::read_env;

use crate::Usage;

/// A file to load and the key it is stored under.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// As given.
    pub(crate) path: PathBuf,
    /// Key in the input bucket.
    pub(crate) key: String,
    /// Captures of the key.
    pub(crate) captures: BTreeMap<String, String>,
}

/// Reads a pipeline file with everything it extends. Warnings go to standard error.
pub(crate) fn read_pipeline(path: &Path) -> anyhow::Result<Pipeline> {
    let parsed = parse_pipeline(path)?.map_err(|problems| Usage(problems.to_string()))?;
    for warning in &parsed.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(parsed.pipeline)
}

/// Reads a pipeline file with everything it extends; what is wrong in it is an answer.
pub(crate) fn parse_pipeline(path: &Path) -> anyhow::Result<Result<Parsed, Problems>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("{}: {error}; give a pipeline file", path.display())))?;
    Ok(parse_text(path, &text))
}

/// As [`parse_pipeline`], for another text of the file.
pub(crate) fn parse_text(path: &Path, text: &str) -> Result<Parsed, Problems> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let load = |name: &str| {
        let base = folder.join(name);
        std::fs::read_to_string(&base).map_err(|error| format!("{}: {error}", base.display()))
    };
    pipeline::parse(&path.display().to_string(), text, &load, &read_env)
}

/// Where each file goes; every file is there, is a file, and has a name of its own.
pub(crate) fn place_inputs(pipeline: &Pipeline, paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let pattern = KeyPattern::compile(&pipeline.source.pattern)
        .map_err(|problem| Usage(format!("source.match: {problem}")))?;
    let mut inputs: Vec<Input> = vec![];
    for path in paths {
        let metadata = std::fs::metadata(path)
            .map_err(|error| Usage(format!("{}: {error}; give a file to load", path.display())))?;
        if !metadata.is_file() {
            return Err(
                Usage(format!("{} is not a file; name the files in it", path.display())).into()
            );
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{}: the name is not UTF-8", path.display()))?;
        let key = format!("{}{name}", pattern.literal_directory());
        if let Some(other) = inputs.iter().find(|other| other.key == key) {
            let (a, b) = (other.path.display(), path.display());
            return Err(
                Usage(format!("{a} and {b} have one name: run them one after the other")).into()
            );
        }
        let captures = pattern.captures(&key);
        if captures.is_none() {
            check_unfit(pipeline, path)?;
        }
        inputs.push(Input { path: path.clone(), key, captures: captures.unwrap_or_default() });
    }
    Ok(inputs)
}

/// A name that does not fit `match` is loaded all the same here, unless its captures are needed.
fn check_unfit(pipeline: &Pipeline, path: &Path) -> anyhow::Result<()> {
    let pattern = &pipeline.source.pattern;
    if pattern.contains('{') {
        return Err(Usage(format!(
            "{}: the name does not fit source.match = \"{pattern}\", whose captures are needed; \
             rename the file or widen the pattern",
            path.display()
        ))
        .into());
    }
    eprintln!(
        "warning: {}: the name does not fit source.match = \"{pattern}\"; deployed, it would start nothing",
        path.display()
    );
    Ok(())
}

/// Size and CRC-64/NVME (base64) of a file, as S3 computes it.
pub(crate) fn crc64(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(buffer.get(..read).unwrap_or(&[]));
        size += u64::try_from(read)?;
    }
    Ok((size, data_encoding::BASE64.encode(&digest.finalize().to_be_bytes())))
}
