//! Different values for each entity, counted in bounded memory however many there are: sorted runs in a file without a name.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What is counted for, the entity, the value. In this order they sort.
const PAIR: usize = 1 + 16 + 16;
/// Pairs that are held in memory: 6.6 MB.
const HELD: usize = 200_000;
/// Pairs of one run that are held while runs are merged: with 100 runs 3.4 MB.
const AHEAD: usize = 1_024;
/// A value that is none: its pair only shows that the entity is there.
const NOTHING: [u8; 16] = [0; 16];

/// One value of one entity.
type Pair = [u8; PAIR];

/// Pairs on their way to be counted.
pub struct Tally {
    held: Vec<Pair>,
    /// Made when memory does not hold all; it has no name, so that nothing is left of it whatever happens.
    file: Option<File>,
    /// Where each run ends in the file. Unit: octets.
    runs: Vec<u64>,
    folder: Box<Path>,
}

impl Tally {
    /// An empty one that spills into that folder.
    pub fn new(folder: &Path) -> Self {
        Self { held: Vec::new(), file: None, runs: Vec::new(), folder: folder.into() }
    }

    /// Adds a value; the same one again changes nothing. `None`: the entity is there, without a value.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, what: u8, entity: [u8; 16], value: Option<[u8; 16]>) -> io::Result<()> {
        let mut pair = [what; PAIR];
        pair[1..17].copy_from_slice(&entity);
        pair[17..].copy_from_slice(&value.unwrap_or(NOTHING));
        self.held.push(pair);
        if self.held.len() < HELD {
            return Ok(());
        }
        self.sort();
        // Neighbouring rows often say the same: then there is room again.
        if self.held.len() > HELD / 2 { self.spill() } else { Ok(()) }
    }

    fn sort(&mut self) {
        self.held.sort_unstable();
        self.held.dedup();
    }

    /// Writes what is held as a run.
    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless(&self.folder)?),
        };
        file.write_all(self.held.as_flattened())?;
        self.runs.push(file.stream_position()?);
        self.held.clear();
        Ok(())
    }

    /// Everything that was added, counted.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(mut self) -> io::Result<Groups> {
        self.sort();
        let mut sources = vec![Source { held: std::mem::take(&mut self.held), at: 0, left: 0..0 }];
        let starts = std::iter::once(0).chain(self.runs.iter().copied());
        sources.extend(starts.zip(&self.runs).map(|(start, end)| Source {
            held: Vec::new(),
            at: 0,
            left: start..*end,
        }));
        let mut groups = Groups { file: self.file, sources, heads: BinaryHeap::new() };
        for index in 0..groups.sources.len() {
            groups.push(index)?;
        }
        Ok(groups)
    }
}

/// A sorted series of pairs: in memory, in the file, or some of each.
struct Source {
    held: Vec<Pair>,
    at: usize,
    /// What is still in the file. Unit: octets.
    left: std::ops::Range<u64>,
}

/// Counts, in the order of what they are for and of their entities.
pub struct Groups {
    file: Option<File>,
    sources: Vec<Source>,
    /// The next pair of each source, the smallest on top.
    heads: BinaryHeap<Reverse<(Pair, usize)>>,
}

impl Groups {
    /// The next count: what for, the entity, how many different values.
    ///
    /// # Errors
    /// The disk's.
    pub fn next(&mut self) -> io::Result<Option<(u8, [u8; 16], u64)>> {
        let Some(first) = self.pair()? else { return Ok(None) };
        let (mut last, mut count) = (first, u64::from(first[17..] != NOTHING));
        while self.heads.peek().is_some_and(|Reverse((head, _))| head[..17] == first[..17]) {
            let Some(pair) = self.pair()? else { break };
            count += u64::from(pair != last);
            last = pair;
        }
        let entity = std::array::from_fn(|index| first[1 + index]);
        Ok(Some((first[0], entity, count)))
    }

    /// The smallest pair of all.
    fn pair(&mut self) -> io::Result<Option<Pair>> {
        let Some(Reverse((pair, index))) = self.heads.pop() else { return Ok(None) };
        self.push(index)?;
        Ok(Some(pair))
    }

    /// Puts the next pair of a source on the heap.
    fn push(&mut self, index: usize) -> io::Result<()> {
        let source = &mut self.sources[index];
        if source.at == source.held.len()
            && let Some(file) = &mut self.file
            && !source.left.is_empty()
        {
            let octets = (source.left.end - source.left.start).min((AHEAD * PAIR) as u64);
            let pairs = usize::try_from(octets).unwrap_or(AHEAD * PAIR) / PAIR;
            (source.at, source.held) = (0, vec![[0; PAIR]; pairs]);
            file.seek(SeekFrom::Start(source.left.start))?;
            file.read_exact(source.held.as_flattened_mut())?;
            source.left.start += (pairs * PAIR) as u64;
        }
        if let Some(pair) = source.held.get(source.at) {
            source.at += 1;
            self.heads.push(Reverse((*pair, index)));
        }
        Ok(())
    }
}

/// A file in that folder that goes with its last handle.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("mde-collector.spill-{:016x}", rand::random::<u64>()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Octets that lie anywhere, the same for the same number.
    fn scattered(number: u64) -> [u8; 16] {
        u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
    }

    fn all(mut groups: Groups) -> Vec<(u8, [u8; 16], u64)> {
        std::iter::from_fn(|| groups.next().expect("the disk works")).collect()
    }

    #[test]
    fn counts_are_those_of_sets_in_memory_also_when_most_lies_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tally = Tally::new(folder.path());
        let mut sets: BTreeMap<(u8, [u8; 16]), BTreeSet<u64>> = BTreeMap::new();
        for number in 0..700_000_u64 {
            let (what, entity, value) = ((number % 3) as u8, number * 7 % 1_000, number * 13 % 1_000_003 / 3);
            tally.add(what, scattered(entity), Some(scattered(value))).expect("the disk works");
            sets.entry((what, scattered(entity))).or_default().insert(value);
        }
        assert!(tally.runs.len() > 1, "it has spilled");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "and no name is left of it");
        let expected: Vec<_> = sets.into_iter().map(|((what, entity), set)| (what, entity, set.len() as u64)).collect();
        assert!(all(tally.finish().expect("the disk works")) == expected);
    }

    #[test]
    fn an_entity_without_a_value_counts_nothing_and_is_there() {
        let mut tally = Tally::new(Path::new("/nowhere"));
        for (entity, value) in [(1, None), (2, None), (2, Some(5)), (2, Some(5)), (2, Some(6))] {
            tally.add(0, scattered(entity), value.map(scattered)).expect("memory");
        }
        let mut counts: Vec<_> = all(tally.finish().expect("memory")).into_iter().map(|(_, _, count)| count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [0, 2]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(all(Tally::new(Path::new("/nowhere")).finish().expect("memory")).is_empty());
    }
}
