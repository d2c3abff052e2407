"""What attention read: links between words, their error rate, pictures and pages."""
