//! `GetObjectAttributes`: what is known of an object, as a document.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::meta::Meta;
use super::output::{Answer, ok, on_disk};
use super::read::{self, Wanted};

/// Most parts of one answer.
const PARTS_MAX: i32 = 1000;

impl Storage {
    pub(super) async fn attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let wanted = Wanted {
            key: input.key.clone(),
            version: input.version_id.clone(),
            ..Wanted::default()
        };
        let meta = on_disk(move || read::open(&bucket, &wanted)).await?.meta;
        let asked = |name: &str| input.object_attributes.iter().any(|asked| asked.as_str() == name);
        let class = StorageClass::from_static(StorageClass::STANDARD);
        ok(GetObjectAttributesOutput {
            checksum: asked(ObjectAttributes::CHECKSUM).then(|| checksum(&meta)).flatten(),
            e_tag: asked(ObjectAttributes::ETAG).then(|| meta.e_tag()),
            last_modified: Some(meta.modified()),
            object_parts: match asked(ObjectAttributes::OBJECT_PARTS) {
                true => parts(&meta, &input),
                false => None,
            },
            object_size: match asked(ObjectAttributes::OBJECT_SIZE) {
                true => i64::try_from(meta.size).ok(),
                false => None,
            },
            storage_class: asked(ObjectAttributes::STORAGE_CLASS).then_some(class),
            version_id: meta.version,
            ..Default::default()
        })
    }
}

fn checksum(meta: &Meta) -> Option<Checksum> {
    let mut checksum = Checksum { checksum_type: meta.sums.kind(), ..Checksum::default() };
    set_sums!(checksum, &meta.sums);
    (!meta.sums.is_empty()).then_some(checksum)
}

fn parts(meta: &Meta, input: &GetObjectAttributesInput) -> Option<GetObjectAttributesParts> {
    if meta.parts == 0 {
        return None;
    }
    let after = input.part_number_marker.unwrap_or(0);
    let max = input.max_parts.unwrap_or(PARTS_MAX).clamp(0, PARTS_MAX);
    let sizes = (1_i32..).zip(&meta.part_sizes).filter(|(number, _)| *number > after);
    let parts = sizes.take(usize::try_from(max).unwrap_or(0)).map(|(number, size)| ObjectPart {
        part_number: Some(number),
        size: i64::try_from(*size).ok(),
        ..ObjectPart::default()
    });
    let parts: Vec<ObjectPart> = parts.collect();
    let last = parts.last().and_then(|part| part.part_number).unwrap_or(after);
    Some(GetObjectAttributesParts {
        is_truncated: Some(usize::try_from(last).unwrap_or(0) < meta.part_sizes.len()),
        max_parts: Some(max),
        next_part_number_marker: Some(last),
        part_number_marker: Some(after),
        parts: Some(parts),
        total_parts_count: i32::try_from(meta.parts).ok(),
    })
}

/// The bytes of one part of an object, and how many parts it has.
pub(super) fn part_span(meta: &Meta, number: i32) -> S3Result<std::ops::Range<u64>> {
    if meta.part_sizes.is_empty() && meta.parts > 0 {
        return Err(s3_error!(
            NotImplemented,
            "the object was stored by an earlier version, which did not keep the sizes of its parts"
        ));
    }
    let whole = [meta.size];
    let sizes = if meta.parts == 0 { &whole[..] } else { &meta.part_sizes[..] };
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let size = index.and_then(|index| sizes.get(index));
    let (Some(index), Some(size)) = (index, size) else {
        return Err(s3_error!(
            InvalidRange,
            "The requested partnumber is not satisfiable: the object has {} parts",
            sizes.len()
        ));
    };
    let start = sizes.iter().take(index).sum();
    Ok(start..start + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_where_the_parts_before_it_end() {
        let meta = Meta { size: 12, parts: 3, part_sizes: vec![5, 5, 2], ..Meta::default() };
        assert_eq!(part_span(&meta, 1).unwrap(), 0..5);
        assert_eq!(part_span(&meta, 3).unwrap(), 10..12);
        for wrong in [0, 4, -1] {
            part_span(&meta, wrong).unwrap_err();
        }
        let single = Meta { size: 7, ..Meta::default() };
        assert_eq!(part_span(&single, 1).unwrap(), 0..7);
        part_span(&single, 2).unwrap_err();
    }
}
