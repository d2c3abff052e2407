"""Pictures of what attention read: heat maps, and lines of words that light up."""
