//! Where the kernel's Image lies, and the addresses that it has for who reads its symbols.
//!
//! The Image lies in physical memory from before the first instruction on, and is never moved there. Its symbols are
//! virtual addresses, which lead nowhere until the kernel has made tables. Until then they lead where they will lead.

use std::ops::Range;

use crate::arch::stage1::Mapping;

/// Bytes that are looked up together: the least that tables tell apart.
const PAGE: u64 = 0x1000;

/// The Image by its addresses. The default has no address at all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinkMap {
    /// IPA of its first byte.
    pub image: u64,
    /// Bytes that it takes, BSS included.
    pub size: u64,
    /// Virtual address of its first byte as the kernel runs, or will run.
    pub text: Option<u64>,
    /// The same as it was linked.
    pub link: Option<u64>,
    /// Bytes from its start to code that the kernel's own tables translate as long as it runs.
    pub code: u64,
}

impl LinkMap {
    /// An address that leads somewhere as soon as the kernel's own tables are in use.
    pub fn code_address(&self) -> Option<u64> {
        self.text?.checked_add(self.code)
    }

    /// Virtual addresses of the Image as the kernel runs.
    pub fn runtime(&self) -> Option<Range<u64>> {
        let text = self.text?;
        Some(text..text.checked_add(self.size)?)
    }

    /// Virtual addresses that it was linked to, where those are others.
    pub fn linked(&self) -> Option<Range<u64>> {
        let link = self.link.filter(|_| self.link != self.text)?;
        Some(link..link.checked_add(self.size)?)
    }

    /// Where an address in one of these ranges leads, a page at a time.
    pub fn lead(&self, range: Option<Range<u64>>, va: u64) -> Option<Mapping> {
        let range = range.filter(|range| range.contains(&va))?;
        let rest = (range.end - va).min(PAGE - va % PAGE);
        Some(Mapping { ipa: self.image.checked_add(va - range.start)?, rest })
    }

    /// Where `va` is in physical memory, if it is one of the Image's addresses, the physical one included.
    pub fn physical(&self, va: u64) -> Option<u64> {
        self.image.checked_add(self.offset(va)?)
    }

    /// The Image's other addresses of what is at `va` in one of them: where a breakpoint may have been
    /// set that is hit there.
    pub fn other_names(&self, va: u64) -> impl Iterator<Item = u64> {
        let offset = self.offset(va);
        let starts = [self.text, self.link.filter(|_| self.link != self.text)];
        let names = starts.into_iter().flatten();
        let names = names.filter_map(move |start| start.checked_add(offset?));
        names.filter(move |name| *name != va)
    }

    /// The addresses of the software breakpoints that are hit at `pc`: itself, if one `is_set` there, and its other names
    /// that the debugger has set one at. `is_image`: whether what is at `pc` is the Image's, for a process may have
    /// something of its own there. Asked only if need be.
    pub fn names_hit<E>(
        &self,
        pc: u64,
        is_set: bool,
        is_known: impl Fn(u64) -> bool,
        is_image: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Vec<u64>, E> {
        let mut names: Vec<u64> = self.other_names(pc).filter(|name| is_known(*name)).collect();
        if !names.is_empty() && !is_image()? {
            names.clear();
        }
        if is_set {
            names.insert(0, pc);
        }
        Ok(names)
    }

    fn offset(&self, va: u64) -> Option<u64> {
        let physical = self.image..self.image.saturating_add(self.size);
        let ranges = [Some(physical), self.runtime(), self.linked()];
        let range = ranges.into_iter().flatten().find(|range| range.contains(&va))?;
        Some(va - range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: u64 = 0xffff_8000_8000_0000;
    const SLIDE: u64 = 0x1234_5000;

    fn map(slide: Option<u64>) -> LinkMap {
        let text = slide.map(|slide| LINK + slide);
        LinkMap { image: 0x4000_0000, size: 0x20_0800, text, link: Some(LINK), code: 0x1_0000 }
    }

    fn names(map: &LinkMap, va: u64) -> Vec<u64> {
        map.other_names(va).collect()
    }

    #[test]
    fn an_address_leads_to_its_distance_from_the_start_of_the_image() {
        let map = map(Some(SLIDE));

        assert_eq!(
            map.lead(map.runtime(), LINK + SLIDE + 0x1_0ffc),
            Some(Mapping { ipa: 0x4001_0ffc, rest: 4 })
        );
        assert_eq!(
            map.lead(map.linked(), LINK + 0x20_0000),
            Some(Mapping { ipa: 0x4020_0000, rest: 0x800 })
        );
        assert_eq!(map.lead(map.runtime(), LINK + SLIDE + 0x20_0800), None);
        assert_eq!(map.lead(map.runtime(), LINK + SLIDE - 1), None);
        assert_eq!(map.lead(map.linked(), LINK - 1), None);
    }

    #[test]
    fn a_kernel_that_is_where_it_was_linked_to_has_one_range() {
        let map = map(Some(0));

        assert_eq!(map.runtime(), Some(LINK..LINK + 0x20_0800));
        assert_eq!(map.linked(), None);
    }

    #[test]
    fn a_kernel_that_may_be_anywhere_has_the_addresses_that_it_was_linked_to() {
        let map = map(None);

        assert_eq!(map.runtime(), None);
        assert_eq!(map.code_address(), None);
        assert_eq!(map.linked(), Some(LINK..LINK + 0x20_0800));
    }

    #[test]
    fn code_is_known_by_every_address_but_its_own() {
        let map = map(Some(SLIDE));

        assert_eq!(names(&map, 0x4000_1000), [LINK + SLIDE + 0x1000, LINK + 0x1000]);
        assert_eq!(names(&map, LINK + SLIDE + 0x1000), [LINK + 0x1000]);
        assert_eq!(names(&map, LINK + 0x1000), [LINK + SLIDE + 0x1000]);
        assert!(names(&map, 0x4020_0800).is_empty());
        for name in [0x4000_1000, LINK + SLIDE + 0x1000, LINK + 0x1000] {
            assert_eq!(map.physical(name), Some(0x4000_1000));
        }
        assert_eq!(map.physical(0x4020_0800), None);
    }

    #[test]
    fn a_hit_is_of_all_the_names_that_are_set() {
        let map = map(Some(SLIDE));
        let (physical, text, link) = (0x4000_1000, LINK + SLIDE + 0x1000, LINK + 0x1000);
        let hit = |pc, is_set, known: &[u64], is_image: Result<bool, ()>| {
            map.names_hit(pc, is_set, |name| known.contains(&name), || is_image)
        };

        assert_eq!(
            hit(physical, true, &[physical, text, link], Ok(true)),
            Ok(vec![physical, text, link])
        );
        // Our own is at `pc`.
        assert_eq!(hit(text, true, &[link], Ok(true)), Ok(vec![text, link]));
        assert_eq!(hit(text, false, &[link], Ok(true)), Ok(vec![link]));
        assert_eq!(hit(text, false, &[text], Ok(true)), Ok(vec![]));
        // Something of a process's own.
        assert_eq!(hit(physical, true, &[text], Ok(false)), Ok(vec![physical]));
        assert_eq!(hit(physical, false, &[text], Ok(false)), Ok(vec![]));
        // No translation where there is nothing that it would tell.
        assert_eq!(hit(physical, true, &[physical], Err(())), Ok(vec![physical]));
    }

    #[test]
    fn nothing_overflows_and_nothing_is_known_by_default() {
        let far =
            LinkMap { image: u64::MAX - 1, size: u64::MAX, text: Some(u64::MAX), ..map(None) };
        let none = LinkMap::default();

        for va in [0, 1, LINK, u64::MAX - 1, u64::MAX] {
            assert_eq!(far.lead(far.runtime(), va), None);
            let _ = far.lead(far.linked(), va);
            let _ = names(&far, va);
            assert_eq!(none.lead(none.runtime(), va), None);
            assert_eq!(none.lead(none.linked(), va), None);
            assert!(names(&none, va).is_empty());
            assert_eq!(none.physical(va), None);
            let _ = far.physical(va);
        }
    }
}
