//! Guest memory of a request, in order, for what moves bytes between it and a file without a copy of its own.

use vm_memory::VolatileSlice;
use vm_memory::bitmap::{BitmapSlice, MS};

use super::{Broken, Ram, Request};

/// Pieces of guest memory that follow each other, however the driver has cut them.
#[derive(Debug)]
pub struct Buffers<'m, B: BitmapSlice> {
    slices: Vec<VolatileSlice<'m, B>>,
    len: u64,
}

/// What the driver wrote, and the room that it left for the device.
pub type Halves<'m, M> = (Buffers<'m, MS<'m, M>>, Buffers<'m, MS<'m, M>>);

impl<M: Ram> Request<M> {
    /// Its buffers. Those to be written follow those to be read (specification, 2.7.4.2); where a driver mixes them,
    /// each half has its own in their order. An error if one does not lie in RAM.
    pub fn buffers(&self) -> Result<Halves<'_, M>, Broken> {
        let collect = |is_write_only| {
            let chain = self.chain();
            let mut buffers = Buffers { slices: Vec::new(), len: 0 };
            for descriptor in chain.filter(|one| one.is_write_only() == is_write_only) {
                let len = descriptor.len() as usize;
                for slice in self.memory().get_slices(descriptor.addr(), len) {
                    buffers.push(slice.map_err(outside)?);
                }
            }
            Ok::<_, Broken>(buffers)
        };
        Ok((collect(false)?, collect(true)?))
    }
}

fn outside(error: impl std::fmt::Display) -> Broken {
    Broken(format!("a buffer does not lie in RAM: {error}"))
}

impl<'m, B: BitmapSlice> Buffers<'m, B> {
    fn push(&mut self, slice: VolatileSlice<'m, B>) {
        self.len += slice.len() as u64;
        self.slices.push(slice);
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces.
    pub fn slices(&self) -> &[VolatileSlice<'m, B>] {
        &self.slices
    }

    /// The first `at` bytes, or all there are, and what follows them.
    pub fn split_at(self, at: u64) -> (Self, Self) {
        let mut front = Self { slices: Vec::new(), len: 0 };
        let mut back = Self { slices: Vec::new(), len: 0 };
        for slice in self.slices {
            let room = usize::try_from(at - front.len.min(at)).unwrap_or(usize::MAX);
            match slice.split_at(room) {
                Ok((first, second)) => {
                    front.push(first);
                    back.push(second);
                }
                // It is shorter than that.
                Err(_) => front.push(slice),
            }
        }
        (front.without_nothing(), back.without_nothing())
    }

    fn without_nothing(mut self) -> Self {
        self.slices.retain(|slice| !slice.is_empty());
        self
    }

    /// Copies from the beginning; what `bytes` has room for beyond the end is left alone. Returns how many bytes.
    pub fn read(&self, bytes: &mut [u8]) -> usize {
        let mut rest = bytes;
        let mut read = 0;
        for slice in &self.slices {
            let count = slice.copy_to(rest);
            read += count;
            rest = rest.get_mut(count..).unwrap_or_default();
        }
        read
    }

    /// Copies to the beginning what there is room for. Returns how many bytes.
    pub fn write(&self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        for slice in &self.slices {
            let count = rest.len().min(slice.len());
            let (first, others) = rest.split_at(count);
            slice.copy_from(first);
            rest = others;
        }
        bytes.len() - rest.len()
    }
}
