//! The pipeline file and the input files, checked before anything starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rowproof_core::pipeline::{KEY_BYTES_MAX, KeyPattern, Pipeline, skipped_by_name};
use rowproof_core::pipeline_file;
use rowproof_core::pipeline_file::Parsed;
use rowproof_core::toml_file::Problems;
use rowproof_io::settings::read_env;

use crate::exit::Usage;

/// A file to load and the key it is stored under.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// As given.
    pub(crate) path: PathBuf,
    /// Key in the input bucket.
    pub(crate) key: String,
    /// Captures of the key.
    pub(crate) captures: BTreeMap<String, String>,
    /// What it is instead of data, by its name.
    pub(crate) skipped: Option<&'static str>,
}

/// Names the mistake when a file to load stands where the pipeline file belongs.
pub(crate) fn check_order(verb: &str, pipeline: &Path, inputs: &[PathBuf]) -> anyhow::Result<()> {
    let is_toml =
        |path: &Path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    let Some(swapped) = inputs.iter().find(|input| is_toml(input) && !is_toml(pipeline)) else {
        return Ok(());
    };
    let (swapped, first) = (swapped.display(), pipeline.display());
    Err(Usage(format!(
        "{first} stands where the pipeline file belongs, and {swapped} among the files to load: give \
         rowproof {verb} {swapped} {first}"
    ))
    .into())
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
    pipeline_file::parse(&path.display().to_string(), text, &load, &read_env)
}

/// Where each file goes; every file is there, is a file, and has a name of its own. `key` is that of the
/// only file, where it is not made of its name.
pub(crate) fn place_inputs(
    pipeline: &Pipeline,
    paths: &[PathBuf],
    key: Option<&str>,
) -> anyhow::Result<Vec<Input>> {
    let pattern = KeyPattern::compile(&pipeline.source.pattern)
        .map_err(|problem| Usage(format!("source.match: {problem}")))?;
    if let Some(key) = key {
        check_key(&pattern, key, paths)?;
    }
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
        let own = format!("{}{name}", pattern.literal_directory());
        let key = key.map_or(own, str::to_owned);
        if let Some(other) = inputs.iter().find(|other| other.key == key) {
            return Err(same_key(&pattern, &key, &other.path, path).into());
        }
        let skipped = skipped_by_name(&pipeline.source.pattern, &key);
        let captures = pattern.captures(&key);
        if captures.is_none() && skipped.is_none() {
            check_unfit(pipeline, path, &key)?;
        }
        let captures = captures.unwrap_or_default();
        inputs.push(Input { path: path.clone(), key, captures, skipped });
    }
    Ok(inputs)
}

/// A key that is given takes one file, and is one that the pipeline could read.
fn check_key(pattern: &KeyPattern, key: &str, paths: &[PathBuf]) -> Result<(), Usage> {
    let directory = key.rfind('/').and_then(|slash| key.get(..=slash)).unwrap_or("");
    let folder = pattern.literal_directory();
    let wrong = if paths.len() > 1 {
        "is for one file: run the others by themselves".to_owned()
    } else if key.is_empty()
        || key.ends_with('/')
        || key.starts_with('/')
        || key.len() > KEY_BYTES_MAX
    {
        format!("is the name of an object: 1 to {KEY_BYTES_MAX} bytes, without a / at its ends")
    } else if pattern.captures(key).is_none() && directory != folder {
        format!("fits neither source.match nor its folder: give one such as {folder}NAME")
    } else {
        return Ok(());
    };
    Err(Usage(format!("--key {key}: {wrong}")))
}

/// Two files that would replace each other's rows, and how to load both.
fn same_key(pattern: &KeyPattern, key: &str, one: &Path, other: &Path) -> Usage {
    let (a, b) = (one.display(), other.display());
    let parent = other.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = key.rsplit('/').next().unwrap_or(key);
    let own = format!("{}{}-{name}", pattern.literal_directory(), parent.unwrap_or("second"));
    let example = if pattern.captures(&own).is_some() { own } else { "KEY".to_owned() };
    Usage(format!(
        "{a} and {b} would both be stored as {key}, and the second would replace the first one's rows: run \
         one of them by itself with a key of its own, such as --key {example}"
    ))
}

/// A name that does not fit `match` is loaded all the same here, unless its captures are needed.
fn check_unfit(pipeline: &Pipeline, path: &Path, key: &str) -> anyhow::Result<()> {
    let pattern = &pipeline.source.pattern;
    if pattern.contains('{') {
        return Err(Usage(format!(
            "{}: the key {key} does not fit source.match = \"{pattern}\", whose captures are needed; \
             rename the file, give a --key that fits, or widen the pattern",
            path.display()
        ))
        .into());
    }
    eprintln!(
        "warning: {}: the key {key} does not fit source.match = \"{pattern}\"; deployed, it would start nothing",
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
