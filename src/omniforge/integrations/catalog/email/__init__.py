"""E-mail: sending by SMTP, reading by IMAP, through an account somebody typed in."""
