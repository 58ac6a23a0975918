/** The application of a child that cannot start. */
console.error('looking for the database');
throw new Error('there is no database');
