//! The side file: [`Quantised`] on disk, so that a fresh process need not read and quantise every vector.
//!
//! It may be missing, stale, cut short or damaged at any time: then it is as if there were none. It is never the truth.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process,
};

use super::{
    quantised::{Key, Quantised, RowInfo},
    rows::Stamp,
};

/// Changes with the layout: magic, sum, incarnation, revision, dimensions, rows, then keys, infos and codes.
const MAGIC: [u8; 8] = *b"askvec01";
const HEADER_BYTES: usize = 48;
const ROW_BYTES: usize = 28;

/// A side file's content; `None` for whatever is wrong with it.
pub fn load(path: &Path, dim: usize) -> Option<Quantised> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut input = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER_BYTES];
    input.read_exact(&mut header).ok()?;
    let (words, _) = header.as_chunks::<8>();
    let [magic, sum, incarnation, revision, held_dim, count] = *words else { return None };
    let [held_dim, count] = [held_dim, count].map(|word| usize::try_from(u64::from_le_bytes(word)).ok());
    let (held_dim, count) = (held_dim?, count?);
    // Lengths are checked before anything is reserved, since the numbers may be anything.
    let body = count.checked_mul(ROW_BYTES.checked_add(held_dim)?)?;
    if magic != MAGIC || held_dim != dim || u64::try_from(body.checked_add(HEADER_BYTES)?).ok()? != length {
        return None;
    }
    let [incarnation, revision] = [incarnation, revision].map(i64::from_le_bytes);
    let mut bytes = Vec::with_capacity(body);
    input.read_to_end(&mut bytes).ok()?;
    let mut check = Sum::new(&header);
    check.add(&bytes);
    if bytes.len() != body || u64::from_le_bytes(sum) != check.total {
        return None;
    }
    let (keys, rest) = bytes.split_at_checked(16 * count)?;
    let (rows, codes) = rest.split_at_checked(12 * count)?;
    let (keys, _) = keys.as_chunks::<8>().0.as_chunks();
    let (rows, _) = rows.as_chunks::<4>().0.as_chunks();
    let keys = keys.iter().map(|key| key.map(i64::from_le_bytes)).map(|[seq, id]| Key { seq, id }).collect();
    let rows = rows.iter().map(|row| row.map(f32::from_le_bytes));
    let rows = rows.map(|[scale, error, norm]| RowInfo { scale, error, norm }).collect();
    let codes = codes.iter().map(|code| code.cast_signed()).collect();
    Some(Quantised { stamp: Stamp { incarnation, revision }, dim, keys, rows, codes })
}

/// Puts a new side file in place of the old one as one step.
pub fn save(path: &Path, index: &Quantised) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(index.rows.len() * ROW_BYTES + index.codes.len());
    bytes.extend(index.keys.iter().flat_map(|key| [key.seq, key.id]).flat_map(i64::to_le_bytes));
    for row in &index.rows {
        bytes.extend([row.scale, row.error, row.norm].iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes.extend(index.codes.iter().map(|code| code.cast_unsigned()));
    let mut header = [0; HEADER_BYTES];
    let words = [
        MAGIC,
        [0; 8],
        index.stamp.incarnation.to_le_bytes(),
        index.stamp.revision.to_le_bytes(),
        (index.dim as u64).to_le_bytes(),
        (index.rows.len() as u64).to_le_bytes(),
    ];
    header.copy_from_slice(words.as_flattened());
    let mut sum = Sum::new(&header);
    sum.add(&bytes);
    header[8..16].copy_from_slice(&sum.total.to_le_bytes());

    let new = new_path(path);
    let written = File::create(&new).and_then(|file| {
        let mut output = BufWriter::new(file);
        output.write_all(&header)?;
        output.write_all(&bytes)?;
        output.flush()
    });
    let placed = written.and_then(|()| fs::rename(&new, path));
    if placed.is_err() {
        let _ = fs::remove_file(&new);
    }
    placed
}

/// Where a side file is written before it takes its place: a name that no collection's file has, another for each
/// process.
fn new_path(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}{}", new_prefix(path), process::id()))
}

fn new_prefix(path: &Path) -> String {
    format!(".{}-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what processes left behind that died while they saved.
pub fn remove_unfinished(path: &Path) -> io::Result<()> {
    let prefix = new_prefix(path);
    for entry in path.parent().map(fs::read_dir).transpose()?.into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if process.is_some_and(|process| process.parse::<u32>().is_ok()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A checksum that runs at about the speed of memory: four independent multiply-and-rotate chains, mixed at the end.
/// It tells damage, not malice.
struct Sum {
    total: u64,
}

impl Sum {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Begins with a header, the place of the sum itself left out.
    fn new(header: &[u8; HEADER_BYTES]) -> Self {
        let mut header = *header;
        header[8..16].fill(0);
        let mut sum = Self { total: Self::FACTOR };
        sum.add(&header);
        sum
    }

    fn add(&mut self, bytes: &[u8]) {
        let mix = |lane: u64, word: u64| (lane ^ word).wrapping_mul(Self::FACTOR).rotate_left(29);
        let mut lanes = [self.total, 1, 2, 3];
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = mix(*lane, u64::from_le_bytes(*word));
            }
        }
        let tail = rest.iter().fold(bytes.len() as u64, |sum, byte| mix(sum, u64::from(*byte)));
        self.total = lanes.into_iter().fold(tail, mix);
    }
}
