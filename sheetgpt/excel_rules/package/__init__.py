"""The rules of the package: zip, relationships, XML, schema."""
