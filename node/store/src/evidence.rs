//! Proofs that members voted twice, kept across restarts. A reader verifies each: what stands here is nobody's word.

use crate::{error::StoreError, files::write_atomically};
use std::{fs, io::ErrorKind, path::Path};

/// Bytes of the file at most: three proofs against each of a hundred members take less.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The proofs in a file, one a line in hex; none if there is no file. Lines that are no hex are left out.
///
/// # Errors
/// [`StoreError::File`].
pub fn read_evidence(path: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() <= FILE_BYTES_MAX => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::file("read", path)(error)),
    }
    let bytes = fs::read(path).map_err(StoreError::file("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| hex::decode(line).ok()).collect())
}

/// Replaces the proofs in a file.
///
/// # Errors
/// [`StoreError::File`]: the old ones are still there.
pub fn write_evidence(path: &Path, proofs: &[impl AsRef<[u8]>]) -> Result<(), StoreError> {
    let lines: Vec<String> = proofs.iter().map(|proof| hex::encode(proof) + "\n").collect();
    write_atomically(path, &[lines.concat().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_rubbish_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("evidence");
        assert!(read_evidence(&path).unwrap().is_empty());
        write_evidence(&path, &[vec![1, 2], vec![3]]).unwrap();
        assert_eq!(read_evidence(&path).unwrap(), [vec![1, 2], vec![3]]);
        fs::write(&path, "zz\n0102\n").unwrap();
        assert_eq!(read_evidence(&path).unwrap(), [vec![1, 2]]);
        fs::write(&path, vec![b'0'; FILE_BYTES_MAX as usize + 2]).unwrap();
        assert!(read_evidence(&path).unwrap().is_empty());
    }
}
