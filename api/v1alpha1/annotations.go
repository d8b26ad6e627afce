package v1alpha1

// TakeOverAnnotation of a RoseyBot is the ID of a database that is gone for good, whose stream of events the database
// of the RoseyBot takes over; followed by "+replay", it stores all events that are still in the stream. The reason
// SubjectConflict spells it out.
const TakeOverAnnotation = "rosey.dev/take-over"
