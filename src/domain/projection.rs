use super::ChunkId;

/// A question and chunks as points of a plane: what their vectors look like from the side where they differ most.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// First and second principal component, in the vectors' own unit.
    pub question: [f32; 2],
    /// In the order in which they were asked for; a chunk that is gone is left out.
    pub points: Vec<(ChunkId, [f32; 2])>,
    /// The part of the vectors' variance that each component shows, 0 to 1.
    pub explained: [f32; 2],
}

impl Projection {
    /// Where a chunk lies, if it was placed.
    pub fn point(&self, id: ChunkId) -> Option<[f32; 2]> {
        self.points.iter().find(|(placed, _)| *placed == id).map(|(_, point)| *point)
    }

    /// Least and greatest value on an axis (0 or 1), the question's included.
    pub fn range(&self, axis: usize) -> (f32, f32) {
        let values = self.points.iter().map(|(_, point)| point[axis]);
        values.fold((self.question[axis], self.question[axis]), |(least, most), value| {
            (least.min(value), most.max(value))
        })
    }
}
